"""What every answer says to browsers, and what it says of a fault: the one place for either.

Answers for programs may do nothing in a browser at all. Pages take scripts, styles and data from this service alone,
never from their own text: whatever is shown on them cannot become code.
"""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.problems import unexpected

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# On all answers, and on those that are no pages; a route that says otherwise is heard.
ALWAYS = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"x-frame-options": b"DENY",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"cache-control": b"no-store",
}
ON_DATA = {b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'"}
ON_PAGES = {b"content-security-policy": PAGE_POLICY.encode()}
HTTPS_ONLY = "max-age=31536000"


class EveryAnswer:
    """Adds these headers to whatever is answered, and answers what nobody has caught: below this, a fault of our own
    would leave without them."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        has_begun = False

        async def send_with_headers(message: Message) -> None:
            nonlocal has_begun
            if message["type"] == "http.response.start":
                has_begun = True
                _add(MutableHeaders(scope=message), is_https(scope))
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except Exception as error:
            problem = unexpected(scope, error)
            # of an answer that has begun, only its end can be left out: the server then breaks the connection
            if not has_begun:
                await problem(scope, receive, send_with_headers)


def is_https(scope: Scope) -> bool:
    """Whether browsers reach this service over TLS, by the request itself or by its public address."""
    public_url = scope["app"].state.tunegate.gate.public_url
    return scope["scheme"] == "https" or (public_url or "").startswith("https://")


def _add(headers: MutableHeaders, only_https: bool) -> None:
    is_page = headers.get("content-type", "").startswith("text/html")
    for name, value in {**ALWAYS, **(ON_PAGES if is_page else ON_DATA)}.items():
        headers.setdefault(name.decode(), value.decode())
    if only_https:
        headers.setdefault("strict-transport-security", HTTPS_ONLY)
