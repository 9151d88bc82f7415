"""How a call becomes a request, and what is made of httpx2's answers and errors: the same for both clients."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx2

from service.client.call import Call
from service.client.patience import Fault, Reply

DEFAULT_URL = "http://127.0.0.1:8080"
USER_AGENT = "tunegate-python"
# What fails before anything of the request was sent.
NEVER_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError)


@dataclass(frozen=True)
class Address:
    """Where the service is, and the key to it; each from the environment where it is not given. Raises ValueError for a
    URL that is none."""

    url: str
    key: str | None = field(repr=False)

    @classmethod
    def of(cls, url: str | None, key: str | None) -> Address:
        """From arguments, or else from TUNEGATE_URL and TUNEGATE_KEY."""
        where = (url or os.environ.get("TUNEGATE_URL") or DEFAULT_URL).rstrip("/")
        parts = urlsplit(where)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
            raise ValueError(f"{where!r} is no address of a service: TUNEGATE_URL is like https://tunegate.example.com")
        found = key if key is not None else os.environ.get("TUNEGATE_KEY")
        if found is not None and not (found.isascii() and found.isprintable()):
            raise ValueError("the key holds characters that no key has: copy it again")
        return cls(where, found or None)

    @property
    def is_loopback(self) -> bool:
        """On this machine, where no proxy leads."""
        host = urlsplit(self.url).hostname or ""
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"


def request_of(call: Call[Any], address: Address, timeout: httpx2.Timeout) -> httpx2.Request:
    """The request that says it."""
    headers = {"accept": call.accept, "user-agent": USER_AGENT, **call.headers}
    if address.key is not None:
        headers["authorization"] = f"Bearer {address.key}"
    content = call.content
    if content is not None:
        headers["content-type"] = "application/json"
    return httpx2.Request(
        call.method,
        address.url + call.path,
        params=call.params,
        headers=headers,
        content=content,
        extensions={"timeout": timeout.as_dict()},
    )


def reply_of(answer: httpx2.Response, body: bytes) -> Reply:
    """An answer, or a stream's head."""
    return Reply(
        answer.status_code, {name.lower(): value for name, value in answer.headers.items()}, body, _plain(answer)
    )


def fault_of(error: httpx2.HTTPError, address: Address) -> Fault:
    """Why there is no answer."""
    why = str(error) or type(error).__name__
    return Fault(why, isinstance(error, NEVER_SENT), address.url)


def _plain(answer: httpx2.Response) -> str:
    return str(answer.request.url.copy_with(query=None))
