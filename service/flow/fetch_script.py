"""fetch: a script's text from its address, once, within limits, from where a stranger could read it too."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urljoin

import httpx2

from service.domain.script import MAX_SCRIPT_BYTES
from service.domain.script_url import WHAT
from service.domain.target import url_refusal
from service.flow.checked_call import ForbiddenTarget, checked_call

TIMEOUT_SECONDS = 20
MOST_REDIRECTS = 5
# Compressed answers are not asked for, as a few bytes could unpack to any number.
HEADERS = {"accept": "text/plain, text/x-python, */*;q=0.1", "accept-encoding": "identity", "user-agent": "tunegate"}
ELSEWHERE = "Use a public https:// address, or send the script itself in 'source'."
OPEN = "Check that the address opens without logging in; of a private file send the text itself in 'source'."
RAW = "Give the address of the plain file, not of a page that shows it."
PASSES = frozenset({408, 425, 429})


@dataclass(frozen=True)
class Fetched:
    """A script as it was found. `sha256` is of its bytes, `size` counts them."""

    source: str
    sha256: str
    size: int


class ScriptRefused(Exception):
    """What is at the address is not a script that may run, and trying again would not help; with what to do instead."""

    def __init__(self, why: str, remedy: str) -> None:
        super().__init__(why)
        self.remedy = remedy


class ScriptUnreachable(Exception):
    """There was no answer that can be relied on; a later try may have one."""


async def fetch(
    url: str, allowed: Sequence[str], *, tls: ssl.SSLContext | bool = True, timeout_seconds: float = TIMEOUT_SECONDS
) -> Fetched:
    """Read a script over https; the operator's `allowed` hosts, addresses and CIDRs may be private and over http. Each
    redirect is checked as the first address is. `tls` says which certificates count. Raises ScriptRefused or
    ScriptUnreachable."""
    try:
        # httpx2's own timeouts are per read: who answers a byte at a time would hold on for ever
        async with asyncio.timeout(timeout_seconds):
            async with httpx2.AsyncClient(follow_redirects=False, timeout=10, trust_env=False, verify=tls) as client:
                return _script(await _read(client, url, allowed))
    except TimeoutError:
        raise ScriptUnreachable(f"it was not there within {timeout_seconds:g} seconds") from None
    except (ForbiddenTarget, httpx2.InvalidURL) as error:
        raise ScriptRefused(str(error), ELSEWHERE) from None
    except ValueError:  # of urljoin, or of a host's name before it is looked up
        raise ScriptRefused("its address, or one that it redirects to, cannot be read", ELSEWHERE) from None
    except (OSError, httpx2.HTTPError) as error:
        raise ScriptUnreachable(f"{type(error).__name__}: {error}"[:300]) from None


async def _read(client: httpx2.AsyncClient, url: str, allowed: Sequence[str]) -> bytes:
    for redirects in range(MOST_REDIRECTS + 1):
        if (refusal := url_refusal(url, allowed, WHAT)) is not None:
            raise ScriptRefused(
                f"it redirects to where nothing is read: {refusal}" if redirects else refusal, ELSEWHERE
            )
        async with client.stream(**await checked_call("GET", url, HEADERS, allowed)) as answer:
            if not answer.has_redirect_location:
                return await _body(answer)
            url = urljoin(url, answer.headers["location"])
    raise ScriptRefused(f"more than {MOST_REDIRECTS} redirects", "Give the address that they lead to in the end.")


async def _body(answer: httpx2.Response) -> bytes:
    if answer.status_code in PASSES or answer.status_code >= 500:
        raise ScriptUnreachable(f"HTTP {answer.status_code}")
    if answer.is_redirect:
        raise ScriptRefused(f"HTTP {answer.status_code} without an address: it redirects to nowhere", OPEN)
    if answer.status_code != 200:
        why = f"HTTP {answer.status_code}: the address is fetched without any token, as a stranger would"
        raise ScriptRefused(why, OPEN)
    if answer.headers.get("content-encoding", "identity") != "identity":
        raise ScriptRefused("the answer is compressed, although that was not asked for", RAW)
    body = b""
    async for chunk in answer.aiter_raw():
        body += chunk
        if len(body) > MAX_SCRIPT_BYTES:
            why = f"it has more than 64 KiB ({MAX_SCRIPT_BYTES} bytes)"
            raise ScriptRefused(why, "Shorten it, or put code into a package that its header names in dependencies.")
    return body


def _script(body: bytes) -> Fetched:
    try:
        source = body.decode()
    except UnicodeDecodeError:
        raise ScriptRefused("it is not UTF-8 text", f"Save it as UTF-8. {RAW}") from None
    if not source.strip():
        raise ScriptRefused("it is empty", RAW)
    if source.removeprefix("\ufeff").lstrip().startswith("<"):
        # what many hosts answer for a file that is not there, with status 200
        raise ScriptRefused("it is a web page and not a script", RAW)
    return Fetched(source, hashlib.sha256(body).hexdigest(), len(body))
