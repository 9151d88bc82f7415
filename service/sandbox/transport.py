"""The sandbox in-process: a transport for httpx2 clients that calls the core under a clock of the caller's choice.

`huggingface_hub.set_client_factory(lambda: httpx2.Client(transport=SandboxTransport(core, clock)))` makes the real
client library talk to a simulated Hub without a socket.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.utils import format_datetime

import httpx2

from service.sandbox.core import Sandbox
from service.sandbox.wire import LogStream, Request, Response


class SandboxTransport(httpx2.BaseTransport):
    """Carries requests to a core. `clock` gives aware UTC.

    A held answer is no wait here: it raises ReadTimeout where it is held longer than the request would wait, and
    arrives at once otherwise. A lost answer raises RemoteProtocolError. A log stream gives all lines so far, then ends.
    Subclasses cut the line by raising in `before` (nothing was done) or `after` (all was done, nobody hears of it).
    """

    def __init__(self, core: Sandbox, clock: Callable[[], datetime]) -> None:
        self.core = core
        self.clock = clock

    def before(self, request: httpx2.Request) -> None:
        """Called before the core sees a request."""

    def after(self, request: httpx2.Request, response: Response) -> None:
        """Called when the core has answered and nobody has seen the answer yet."""

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Answer a request; raises httpx2's own transport errors where a fault says so."""
        self.before(request)
        now = self.clock()
        response = self.core.handle(_request(request), now)
        self.after(request, response)
        patience = request.extensions.get("timeout", {}).get("read")
        if patience is not None and response.delay_seconds > patience:
            raise httpx2.ReadTimeout("The read operation timed out", request=request)
        if response.lost:
            raise httpx2.RemoteProtocolError("Server disconnected without sending a response.", request=request)
        headers = {"date": format_datetime(now.astimezone(UTC), usegmt=True), **response.headers}
        if response.stream:
            stream = _Frames(self.core, response.stream, self.clock, request)
            return httpx2.Response(response.status, headers=headers, stream=stream)
        return httpx2.Response(response.status, headers=headers, content=response.body)


class _Frames(httpx2.SyncByteStream):
    """The frames of a log so far."""

    def __init__(
        self, core: Sandbox, stream: LogStream, clock: Callable[[], datetime], request: httpx2.Request
    ) -> None:
        self._core = core
        self._stream = stream
        self._clock = clock
        self._request = request

    def __iter__(self) -> Iterator[bytes]:
        frames, _, _ = self._core.read_stream(self._stream, None, self._clock())
        cut_after = self._stream.cut_after
        yield from frames[:cut_after]
        if cut_after is not None and len(frames) >= cut_after:
            raise httpx2.ReadError("The connection broke", request=self._request)


def _request(request: httpx2.Request) -> Request:
    return Request(
        method=request.method,
        path=request.url.path,
        query_string=request.url.query.decode("latin-1"),
        headers={name.lower(): value for name, value in request.headers.items()},
        body=request.read(),
        base_url=f"{request.url.scheme}://{request.url.netloc.decode('latin-1')}",
    )
