"""Answers that go on for as long as their readers like: server-sent events, or bare text.

They are counted, as each holds a connection, and look into the database again and again for what is new.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Hashable, Sequence
from typing import Any

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from service.domain.errors import Busy, ServiceError

MOST_STREAMS = 200
MOST_OF_ONE = 50
LOOK_SECONDS = 0.5
KEEP_ALIVE_LOOKS = 30
PROVEN_LOOKS = 10
EVENT_STREAM = "text/event-stream"

# What is new since the last look, in frames, and whether nothing more will come.
Look = Callable[[], tuple[Sequence[str], bool]]
# Raises a ServiceError once the reader may not read any more.
Prove = Callable[[], object]


class OpenStreams:
    """How many there are in this process."""

    def __init__(self) -> None:
        self._count: Counter[Hashable] = Counter()

    def answer(self, look: Look, holder: Hashable, prove: Prove, media_type: str = EVENT_STREAM) -> StreamingResponse:
        """A stream of what is found, for the holder of a key, which ends when `prove` raises that they may not any
        more. Raises Busy where too many are open: in all, or of this one, who could otherwise hold them all."""
        if self._count.total() >= MOST_STREAMS or self._count[holder] >= MOST_OF_ONE:
            raise Busy("too many streams are open", remedy="Ask page by page instead, or try again later.")
        return StreamingResponse(
            self._counted(look, holder, prove, keeps_alive=media_type == EVENT_STREAM),
            media_type=media_type,
            headers={"cache-control": "no-store", "x-accel-buffering": "no"},
        )

    async def _counted(self, look: Look, holder: Hashable, prove: Prove, keeps_alive: bool) -> AsyncIterator[str]:
        """The stream counts from its first frame until its reader leaves."""
        self._count[holder] += 1
        try:
            async for frame in _frames(_while_proven(look, prove), keeps_alive):
                yield frame
        finally:
            self._count[holder] -= 1
            self._count += Counter()  # nobody is remembered who has none


def _while_proven(look: Look, prove: Prove) -> Look:
    """The same look, over once what its reader came with holds no more: a key may be revoked while a stream is open."""
    looks = 0

    def proven() -> tuple[Sequence[str], bool]:
        nonlocal looks
        looks += 1
        if looks % PROVEN_LOOKS == 0:
            try:
                prove()
            except ServiceError:
                return (), True
        return look()

    return proven


async def _frames(look: Look, keeps_alive: bool) -> AsyncIterator[str]:
    quiet = 0
    while True:
        found, is_over = await run_in_threadpool(look)
        for one in found:
            yield one
        if is_over:
            return
        quiet = 0 if found else quiet + 1
        if keeps_alive and quiet and quiet % KEEP_ALIVE_LOOKS == 0:
            yield ": keep-alive\n\n"
        if not found:
            await asyncio.sleep(LOOK_SECONDS)


def frame(data: Any, event_id: str | int | None = None, event: str | None = None) -> str:
    """One server-sent event."""
    fields = [("id", event_id), ("event", event), ("data", json.dumps(data))]
    return "".join(f"{name}: {value}\n" for name, value in fields if value is not None) + "\n"


def wants_stream(request: Request) -> bool:
    """Whether server-sent events were asked for, as a browser's EventSource does."""
    return request.headers.get("accept", "").startswith(EVENT_STREAM)
