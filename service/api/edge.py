"""What is refused before a route is looked for: addresses and bodies that no route could read."""

from __future__ import annotations

import asyncio
from email.message import Message as MediaType
from functools import lru_cache
from typing import Any
from urllib.parse import unquote_to_bytes

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.problems import answer
from service.domain.errors import (
    AddressTooLong,
    HeadersTooLarge,
    Invalid,
    MalformedBody,
    RequestTimeout,
    ServiceError,
    TooLarge,
    WrongMediaType,
)
from service.domain.json_text import read_json

MAX_BODY_BYTES = 1024 * 1024
MAX_ADDRESS_BYTES = 8 * 1024
MAX_HEADER_BYTES = 32 * 1024
# For a whole body to arrive, however it drips: the largest one then comes at 35 KiB a second.
BODY_SECONDS = 30.0
WITH_BODY = frozenset({"POST", "PUT", "PATCH", "DELETE"})
# in the scope: a JSON body as it was read; and that a route reads its body itself, in parts, and bounds it
READ = "tunegate.body"
STREAMED = "tunegate.streamed"
AS_JSON = "Send 'Content-Type: application/json'."


class Edge:
    """Refuses NUL in an address (no database has a place for it), addresses, headers and bodies that are too large,
    bodies that take too long, are packed, or no JSON where they say that they are: Python's own reader, which comes
    later, guesses."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "http":
            try:
                _check_address(scope)
                if scope["method"] in WITH_BODY and STREAMED not in scope:
                    headers = Headers(scope=scope)
                    body = await _timely_body(headers, receive)
                    if body and _is_plain_json(headers):
                        scope[READ] = read_json(body)
                    receive = _again(body, receive)
            except ServiceError as error:
                return await answer(error)(scope, receive, send)
        return await self._app(scope, receive, send)


def is_json(content_type: str | None) -> bool:
    """Whether a content type is JSON's, or that of a format written in JSON."""
    return _is_json(_media_type(content_type)[0])


def _is_json(kind: str) -> bool:
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


@lru_cache(maxsize=64)  # they are few, and reading one takes longer than the rest of the edge
def _media_type(content_type: str | None) -> tuple[str, str]:
    """The kind that a header names, and its charset."""
    read = MediaType()
    read["content-type"] = content_type or "application/octet-stream"
    return read.get_content_type(), str(read.get_param("charset", "utf-8")).lower()


def _check_address(scope: Scope) -> None:
    if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > MAX_ADDRESS_BYTES:
        raise AddressTooLong(f"an address has at most {MAX_ADDRESS_BYTES} bytes", remedy="Ask for less at once.")
    if sum(len(name) + len(value) for name, value in scope["headers"]) > MAX_HEADER_BYTES:
        raise HeadersTooLarge(f"headers have at most {MAX_HEADER_BYTES} bytes", remedy="Send fewer.")
    if "\0" in scope["path"] or b"\0" in unquote_to_bytes(scope["query_string"]):
        raise Invalid("an address holds no NUL", remedy="Take it out.")


async def _timely_body(headers: Headers, receive: Receive) -> bytes:
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _body(headers, receive)
    except TimeoutError:
        raise RequestTimeout(
            f"the body did not arrive within {BODY_SECONDS:.0f} seconds", remedy="Send it at once."
        ) from None


async def _body(headers: Headers, receive: Receive) -> bytes:
    """The whole body, once it is certain that it can be read."""
    too_large = TooLarge(f"a body has at most {MAX_BODY_BYTES} bytes", remedy="Send less, or a script by its 'url'.")
    length = headers.get("content-length", "0")
    if length.isdigit() and int(length) > MAX_BODY_BYTES:
        raise too_large
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise MalformedBody("the body ends before its end", remedy="Send all of it.")
        body += message.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            raise too_large
        if not message.get("more_body", False):
            break
    if body and headers.get("content-encoding", "identity") != "identity":
        raise WrongMediaType("the body is packed", field="content-encoding", remedy="Send it as it is.")
    return bytes(body)


def _is_plain_json(headers: Headers) -> bool:
    """Whether a body says that it is JSON; raises WrongMediaType where it is to be read in another encoding."""
    kind, charset = _media_type(headers.get("content-type"))
    if _is_json(kind) and charset not in ("utf-8", "utf8"):
        raise WrongMediaType("JSON is UTF-8 here, and nothing else", field="content-type", remedy=AS_JSON)
    return _is_json(kind)


async def json_body(request: Request) -> dict[str, Any]:
    """The body of a request, as it was read at the edge; raises MalformedBody and Invalid where it was not JSON's."""
    read: dict[str, Any] | None = request.scope.get(READ)
    return read_json(await request.body()) if read is None else read


def _again(body: bytes, receive: Receive) -> Receive:
    """What gives a body that was read once more, and then what else comes of the client."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
