"""One HTTP session with a Hugging Face endpoint: headers, timeouts, errors, and the rule that a token stays at home.

Nothing that is sent is redirected, and only `Link`s of the same origin are followed: both would carry the token, or a
job's secrets, to wherever an answer points.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from datetime import datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import httpx2
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils import build_hf_headers, hf_raise_for_status

from service.hub.bounds import bound, note_beginning
from service.hub.calls import Calls
from service.hub.faults import HubRefused, HubUnavailable, connection_fault, refusal
from service.hub.governor import Governor

CONNECT_SECONDS = 5


# What huggingface_hub raises for an answer of another form than it expects.
UNREADABLE = (ValueError, TypeError, KeyError, AttributeError)
# httpx2's own
DEFAULT_LIMITS = httpx2.Limits(max_connections=100, max_keepalive_connections=20)


class HubSession:
    """Sends requests below one endpoint. `transport` is for tests and simulations; every call has a timeout. No
    answer's cookie is kept: who is asking, a call's own token says."""

    def __init__(
        self,
        endpoint: str,
        clock: Callable[[], datetime],
        timeout_seconds: float,
        transport: httpx2.BaseTransport | None,
    ) -> None:
        self.endpoint = endpoint
        self.timeout_seconds = timeout_seconds
        self.governor = Governor()
        self.calls = Calls()
        # what was wrong with the last call, for those who ask how things stand
        self.trouble: str | None = None
        self._clock = clock
        self._transport = transport
        # a proxy of the environment sees nothing of TLS, and every token of plain http
        self._trust_env = endpoint.startswith("https://")
        # one for all clients: each would read all certificates
        self._tls = httpx2.create_ssl_context(trust_env=self._trust_env)
        self.http = self.new_http(follow_redirects=False)
        # streams are held for hours: each has a connection of its own, so that no other call waits for one of them; who
        # reads them bounds them
        self.streaming = self._new_http(follow_redirects=False, limits=httpx2.Limits(max_connections=None))
        self.streaming.event_hooks = {"request": [note_beginning], "response": [self.calls.answered]}

    def new_http(self, *, follow_redirects: bool) -> httpx2.Client:
        """A client with this session's timeouts, whose answers have a bound."""
        client = self._new_http(follow_redirects, DEFAULT_LIMITS)
        client.event_hooks = {"request": [note_beginning], "response": [self.calls.answered, bound]}
        return client

    def _new_http(self, follow_redirects: bool, limits: httpx2.Limits) -> httpx2.Client:
        connect = min(CONNECT_SECONDS, self.timeout_seconds)
        timeout = httpx2.Timeout(self.timeout_seconds, connect=connect, pool=connect)
        return httpx2.Client(
            timeout=timeout,
            follow_redirects=follow_redirects,
            transport=self._transport,
            limits=limits,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            verify=self._tls,
            trust_env=self._trust_env,
        )

    def now(self) -> datetime:
        """By the clock that it was given."""
        return self._clock()

    def for_other_tokens(self) -> HubSession:
        """A session over the same connections for those who hold other tokens, and have a rate limit of their own."""
        other = copy.copy(self)
        other.governor, other.trouble = Governor(), None
        return other

    def close(self) -> None:
        """Close the connections."""
        self.http.close()
        self.streaming.close()

    def read(self, url: str, token: str, *, follow: bool = False) -> httpx2.Response:
        """GET a path, or a page's absolute URL; `follow` redirects. Raises HubFault for anything but a success."""
        try:
            response = self.send("GET", url, token, follow=follow)
        except httpx2.HTTPError as error:
            raise connection_fault(error) from None
        check(response)
        return response

    def post_within_deadline(self, url: str, token: str, body: dict[str, Any]) -> httpx2.Response:
        """A POST all of whose phases together take no longer than the session's timeout: a place in the pool, the
        connection, writing, and the wait for the answer."""
        part = self.timeout_seconds / 12
        timeout = httpx2.Timeout(8 * part, pool=part, connect=part, write=2 * part)
        return self.send("POST", url, token, body, timeout)

    def send(
        self,
        method: str,
        url: str,
        token: str,
        body: dict[str, Any] | None = None,
        timeout: httpx2.Timeout | None = None,
        follow: bool = False,
    ) -> httpx2.Response:
        """Any request; the answer as it is. Raises httpx2's errors where none came."""
        if not url.startswith("http"):
            url = self.endpoint + url
        try:
            response = self.http.request(
                method,
                url,
                json=body,
                headers=headers(token),
                timeout=timeout or self.http.timeout,
                follow_redirects=follow,
            )
        except httpx2.HTTPError as error:
            self.trouble = type(error).__name__
            self.calls.broke(method, url)
            raise
        has_trouble = response.status_code >= 500 or response.status_code in (401, 429)
        self.trouble = f"HTTP {response.status_code}" if has_trouble else None
        self.governor.observe(response.headers, self._clock())
        return response

    def pages(self, url: str, token: str, most: int) -> Iterator[httpx2.Response]:
        """The pages of a list, from its first one on. Raises HubFault, and HubUnavailable where there are more than
        so many."""
        following: str | None = url
        for _ in range(most):
            if following is None:
                return
            response = self.read(following, token)
            following = self._next_page(response)
            yield response
        if following is not None:
            raise HubUnavailable(f"a list of more than {most} pages")

    def _next_page(self, response: httpx2.Response) -> str | None:
        """The URL of a list's next page. Raises HubRefused where it leads to another host."""
        url = response.links.get("next", {}).get("url")
        if url is not None and _origin(url) != _origin(self.endpoint):
            raise HubRefused("a list whose next page is on another host", response.status_code)
        return url


def headers(token: str) -> dict[str, str]:
    """The library's own headers with this token, and never another."""
    return build_hf_headers(token=token, library_name="tunegate")


def check(response: httpx2.Response) -> None:
    """Raise the HubFault of an answer that is not a success."""
    try:
        hf_raise_for_status(response)
    except HfHubHTTPError as error:
        raise refusal(error) from None
    except Exception:
        # huggingface_hub's formatter itself fails on some error bodies (a JSON list, for one)
        raise HubUnavailable(f"an unreadable answer (HTTP {response.status_code})", response.status_code) from None
    if not response.is_success:
        raise HubRefused(f"an answer that is not followed (HTTP {response.status_code})", response.status_code)


def read_json(response: httpx2.Response) -> Any:
    """An answer's JSON. Raises HubUnavailable where it is none."""
    try:
        return response.json()
    except ValueError:
        raise HubUnavailable("an answer that is no JSON", response.status_code) from None


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port
