"""The ASGI shell: turns HTTP into the core's requests and its answers back, and lets server-sent events flow.

It alone knows sockets: it holds an answer back, closes a connection without one, and ends open streams at shutdown.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from email.utils import format_datetime

from starlette.requests import Request as HttpRequest
from starlette.responses import Response as HttpResponse
from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.sandbox.core import Sandbox
from service.sandbox.executor import Executor
from service.sandbox.wire import LogStream, Request

KEEP_ALIVE_SECONDS = 30.0
PACE_SECONDS = 0.1
METRICS_SECONDS = 1.0


def utc_now() -> datetime:
    """The real clock, aware UTC."""
    return datetime.now(UTC)


class Shell:
    """The ASGI application of one core; with `executor`, jobs really run while it is up."""

    def __init__(self, core: Sandbox, executor: Executor | None, clock: Callable[[], datetime] = utc_now) -> None:
        self._core = core
        self._executor = executor
        self._clock = clock
        self._closing = asyncio.Event()

    def close_streams(self) -> None:
        """End every open stream and held answer, so that a shutdown need not wait for them."""
        self._closing.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection's event, as ASGI wants it."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        running = asyncio.create_task(self._executor.run()) if self._executor else None
        await send({"type": "lifespan.startup.complete"})
        await receive()
        if running and self._executor:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running
            await self._executor.close()
        await asyncio.to_thread(self._core.close)
        await send({"type": "lifespan.shutdown.complete"})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = await _request(HttpRequest(scope, receive))
        now = self._clock()
        response = self._core.handle(request, now)
        # uvicorn's own is up to a second old and more on a busy machine, and `hf jobs logs` drops the lines that are
        # more than a second younger than the Date
        headers = {"date": format_datetime(now, usegmt=True), **response.headers}
        if response.delay_seconds:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), response.delay_seconds)
        if response.lost:
            await _drop(scope, receive)
            return
        answer: HttpResponse
        if response.stream:
            answer = StreamingResponse(self._frames(scope, response.stream), headers=headers)
        else:
            answer = HttpResponse(response.body, response.status, headers)
        await answer(scope, receive, send)

    async def _frames(self, scope: Scope, stream: LogStream) -> AsyncIterator[bytes]:
        position: int | None = None
        silent_since = asyncio.get_running_loop().time()
        left = stream.cut_after
        while not self._closing.is_set():
            if stream.kind == "metrics" and self._executor and (job := self._core.jobs.find(stream.job_id)):
                self._executor.measure(job)
            frames, position, ended = self._core.read_stream(stream, position, self._clock())
            if left is not None:
                frames = frames[:left]
                left -= len(frames)
            if frames:
                silent_since = asyncio.get_running_loop().time()
                yield b"".join(frames)
            elif asyncio.get_running_loop().time() - silent_since >= KEEP_ALIVE_SECONDS:
                silent_since = asyncio.get_running_loop().time()
                yield b": keep-alive\n\n"
            if left == 0:
                scope["state"]["transport"].close()
            if ended:
                return
            await asyncio.sleep(METRICS_SECONDS if stream.kind == "metrics" else PACE_SECONDS)


class Protocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol that lets the application reach its connection, to break it on purpose."""

    def on_message_begin(self) -> None:
        """Put the connection into the scope's state."""
        super().on_message_begin()
        self.scope["state"]["transport"] = self.transport


async def _request(http: HttpRequest) -> Request:
    return Request(
        method=http.method,
        path=http.scope["path"],
        query_string=http.scope["query_string"].decode("latin-1"),
        headers={name.lower(): value for name, value in http.headers.items()},
        body=await http.body(),
        base_url=f"{http.url.scheme}://{http.url.netloc}",
    )


async def _drop(scope: Scope, receive: Receive) -> None:
    """Close the connection without an answer."""
    scope["state"]["transport"].close()
    message: Message = {}
    while message.get("type") != "http.disconnect":
        message = await receive()
