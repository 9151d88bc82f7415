"""Connections that no client can hold for longer than it uses them.

uvicorn waits for ever: for headers that come a byte at a time, for readers that do not read, for as many connections as
are opened. Here each of these has a bound; within it, nothing is different.
"""

from __future__ import annotations

from asyncio import TimerHandle, Transport
from http import HTTPStatus
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.api.policy import ALWAYS, ON_DATA
from service.api.problems import answer
from service.domain.errors import HeadersTooLarge, MalformedRequest, Overloaded, RequestTimeout, ServiceError

# From a connection's beginning, or a request's first byte, to the end of its headers.
HEADER_SECONDS = 10.0
HEADER_BYTES = 64 * 1024
# For the reader to take what has piled up: some 48 KiB, so that less than 2 KiB a second is no reading.
READ_SECONDS = 30.0
# Of one process, beside those that hold streams.
MOST_CONNECTIONS = 500


class PatientProtocol(HttpToolsProtocol):
    """uvicorn's own protocol, patient for so long."""

    most_connections = MOST_CONNECTIONS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._headers_due: TimerHandle | None = None
        self._reading_due: TimerHandle | None = None
        self._header_bytes = 0
        self._is_in_body = False

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """A new connection; where there are too many, one that does nothing makes room for it."""
        super().connection_made(transport)
        self._await_headers()
        if len(self.connections) > self.most_connections and not self._made_room():
            self._refuse(Overloaded("none of them is idle", remedy="Try again later."))

    def connection_lost(self, exc: Exception | None) -> None:
        """The end, whoever brought it about."""
        self._forget_headers()
        self._forget_reading()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """A part of a request, or several."""
        if self.is_idle and self._headers_due is None:
            self._await_headers()
        if self._headers_due is not None and not self._is_in_body:
            self._header_bytes += len(data)
        super().data_received(data)
        if self._headers_due is not None and self._header_bytes > HEADER_BYTES and not self.transport.is_closing():
            self._refuse(HeadersTooLarge(f"headers have at most {HEADER_BYTES} bytes", remedy="Send fewer."))

    def on_headers_complete(self) -> None:
        """A request is about to be answered."""
        self._forget_headers()
        self._is_in_body = True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """A request has arrived; of one that was answered before, the next one's headers are waited for from now on."""
        self._is_in_body = False
        if self._headers_due is not None:
            self._forget_headers()
            self._await_headers()
        super().on_message_complete()

    def pause_writing(self) -> None:
        """The reader takes less than it is sent."""
        super().pause_writing()
        self._close_by_force_soon()

    def resume_writing(self) -> None:
        """It has caught up."""
        super().resume_writing()
        self._forget_reading()

    def on_response_complete(self) -> None:
        """An answer is written, as far as this side goes."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._close_by_force_soon()

    def timeout_keep_alive_handler(self) -> None:
        """No further request has come."""
        super().timeout_keep_alive_handler()
        self._close_by_force_soon()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - told in our own words
        """The answer to what is no HTTP."""
        self._refuse(MalformedRequest("what was sent is not HTTP/1.1", remedy="Send it by a library for HTTP."))

    @property
    def is_idle(self) -> bool:
        """Whether no request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def _await_headers(self) -> None:
        self._header_bytes = 0
        self._headers_due = self.loop.call_later(HEADER_SECONDS, self._give_up)

    def _give_up(self) -> None:
        self._headers_due = None
        if self._is_in_body:  # of a request that was answered long ago
            self.transport.abort()
        elif not self.transport.is_closing():
            self._refuse(RequestTimeout("its headers did not arrive", remedy="Send it again."))

    def _made_room(self) -> bool:
        others = cast("set[Any]", self.connections) - {self}
        idle = next((one for one in others if isinstance(one, PatientProtocol) and one.is_idle), None)
        if idle is not None:
            idle.transport.abort()
            self.connections.discard(idle)
        return idle is not None

    def _refuse(self, error: ServiceError) -> None:
        """Answer without the application, which has not got a request yet, and close."""
        said = answer(error)
        headers = {**dict(said.raw_headers), b"connection": b"close", **ALWAYS, **ON_DATA}
        lines = [b"HTTP/1.1 %d %s" % (error.status, HTTPStatus(error.status).phrase.encode())]
        lines += [name + b": " + value for name, value in headers.items()]
        self.transport.write(b"\r\n".join([*lines, b"", bytes(said.body)]))
        self.transport.close()
        self._close_by_force_soon()

    def _close_by_force_soon(self) -> None:
        """Closing alone waits until the reader has taken everything."""
        if self._reading_due is None:
            self._reading_due = self.loop.call_later(READ_SECONDS, self.transport.abort)

    def _forget_headers(self) -> None:
        if self._headers_due is not None:
            self._headers_due.cancel()
            self._headers_due = None

    def _forget_reading(self) -> None:
        if self._reading_due is not None:
            self._reading_due.cancel()
            self._reading_due = None


def patient(most_connections: int) -> type[PatientProtocol]:
    """The protocol with a bound on how many connections a process has."""
    return type("BoundedProtocol", (PatientProtocol,), {"most_connections": most_connections})
