"""What is refused before a route is looked for."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.problems import problem

MAX_BODY_BYTES = 1024 * 1024


class Edge:
    """Refuses NUL in an address (no database has a place for it) and bodies that are announced as too large."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "http":
            if "\0" in scope["path"] or b"\0" in unquote_to_bytes(scope["query_string"]):
                refusal = problem(422, "invalid", "The request cannot be carried out", "an address holds no NUL")
                return await refusal(scope, receive, send)
            length = dict(scope["headers"]).get(b"content-length", b"0")
            if length.isdigit() and int(length) > MAX_BODY_BYTES:
                detail = f"a body has at most {MAX_BODY_BYTES} bytes"
                refusal = problem(413, "too_large", "The body is too large", detail)
                return await refusal(scope, receive, send)
        return await self._app(scope, receive, send)
