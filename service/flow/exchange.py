"""One exchange over HTTP/1.1, on a connection of its own: a request's bytes go out, the answer's status and headers
come back, and of its body no more than is wanted.

Small on purpose: letters go out by the hundred each second, and a client that keeps pools takes six times as long over
one. What reads the answer is llhttp, which is strict.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from ssl import SSLContext
from typing import cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

MAX_HEAD_BYTES = 65_536


class ConnectError(Exception):
    """Nobody takes the connection there, or its certificate is not the name's."""


class ProtocolError(Exception):
    """What came back is no answer."""


@dataclass(frozen=True)
class Place:
    """Where a connection goes: an address that was checked, and the name that its certificate has to be of."""

    address: str
    port: int
    name: str
    is_tls: bool


@dataclass(frozen=True)
class Answer:
    """The names of headers are in small letters; of several with one name the first counts. `body` as it came over the
    wire."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Exchange(asyncio.Protocol):
    """A connection while its one answer is read. `head` is done once the headers are there, `whole` with the body's end
    or as soon as there is `most` of it; both raise ProtocolError."""

    def __init__(self, most: int) -> None:
        loop = asyncio.get_running_loop()
        self.head: asyncio.Future[None] = loop.create_future()
        self.whole: asyncio.Future[None] = loop.create_future()
        self._most = most
        self._parser = HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._read, self._body = 0, b""
        self._transport: asyncio.Transport | None = None

    @property
    def answer(self) -> Answer:
        """As much as has come, once `head` is done."""
        return Answer(self._parser.get_status_code(), self._headers, self._body[: self._most])

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """What ends with the answer."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's has another base

    def data_received(self, data: bytes) -> None:
        """Read on, unless it is over."""
        if self.whole.done():
            return
        self._read += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self._end(ProtocolError(str(error) or type(error).__name__))
        if not self.head.done() and self._read > MAX_HEAD_BYTES:
            self._end(ProtocolError(f"more than {MAX_HEAD_BYTES} bytes of headers"))

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header of the answer."""
        self._headers.setdefault(name.decode("latin-1").lower(), value.decode("latin-1"))

    def on_headers_complete(self) -> None:
        """The answer counts from here on, but for one that only says that another will come."""
        if self._parser.get_status_code() >= 200 and not self.head.done():
            self.head.set_result(None)

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._body += body[: self._most - len(self._body)]
        if len(self._body) >= self._most:
            self._end(None)

    def on_message_complete(self) -> None:
        """The body's end."""
        if self.head.done():
            self._end(None)
        else:
            self._headers.clear()

    def connection_lost(self, error: Exception | None) -> None:
        """No more will come."""
        self._end(ProtocolError(str(error) if error is not None else "the connection was closed without an answer"))

    def _end(self, error: ProtocolError | None) -> None:
        if not self.head.done() and error is not None:
            self.head.set_exception(error)
        if not self.whole.done():
            self.whole.set_result(None)
        if self._transport is not None:  # nothing more is taken from one who pours
            self._transport.abort()


async def connect(place: Place, tls: SSLContext, most: int) -> tuple[asyncio.Transport, Exchange]:
    """A new connection. Raises ConnectError."""
    try:
        return await asyncio.get_running_loop().create_connection(
            lambda: Exchange(most),
            place.address,
            place.port,
            ssl=tls if place.is_tls else None,
            server_hostname=place.name if place.is_tls else None,
        )
    except OSError as error:
        raise ConnectError(str(error)) from None


def request_bytes(method: str, target: bytes, host: bytes, headers: Mapping[str, str], body: bytes) -> bytes:
    """A request as it is sent; its connection is not to be kept."""
    lines = [f"{name}: {value}" for name, value in headers.items()]
    text = "\r\n".join([*lines, f"content-length: {len(body)}", "connection: close"])
    return b"%s %s HTTP/1.1\r\nhost: %s\r\n%s\r\n\r\n%s" % (method.encode(), target, host, text.encode("ascii"), body)
