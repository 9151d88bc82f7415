"""Answers that go on for as long as their readers like: server-sent events, or bare text.

They are counted, as each holds a connection. While nothing happens they wait: a committed change rings for them
(`bells.py`), and only then do they look. Now and then they look unasked, should a ring have been missed.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, NamedTuple, Protocol

from fastapi import Request
from fastapi.responses import StreamingResponse

from service.api.bells import Bells
from service.domain.errors import Busy, ServiceError
from service.store.topics import entry

MOST_STREAMS = 1000
# Of these, how many one user may hold.
SHARE_OF_ONE = 0.25
# Unasked, and whether the reader may still read: keys expire without a word.
LOOK_SECONDS = 60.0
# Proxies close what is silent for long.
KEEP_ALIVE_SECONDS = 15.0
# What comes at once is told at once; what follows it so soon, together.
BURST_SECONDS = 0.02
EVENT_STREAM = "text/event-stream"
KEEP_ALIVE = ": keep-alive\n\n"

# Who reads: the team (None: an admin), and the name.
Holder = tuple[str | None, str]
# Raises a ServiceError once the reader may not read any more.
Prove = Callable[[], object]


class Found(NamedTuple):
    """What is new, in frames; whether nothing more will come; whether there is more to find at once."""

    frames: Sequence[str]
    is_over: bool = False
    is_more: bool = False


class Follower(Protocol):
    """Looks for what is new since it last looked; what it waits for is told under its topic."""

    topic: str

    async def look(self) -> Found:
        """What there is by now."""


class OpenStreams:
    """Those of this process."""

    def __init__(self, most: int = MOST_STREAMS) -> None:
        self.bells = Bells()
        self._most = most
        self._count: Counter[Holder] = Counter()

    def answer(
        self, follower: Follower, holder: Holder, prove: Prove, media_type: str = EVENT_STREAM
    ) -> StreamingResponse:
        """A stream of what is found, for the holder of a key, which ends when `prove` raises that they may not any
        more. Raises Busy where too many are open: in all, or of this one, who could otherwise hold them all."""
        most_of_one = max(1, self._most * SHARE_OF_ONE)
        if self._count.total() >= self._most or self._count[holder] >= most_of_one:
            raise Busy("too many streams are open", remedy="Ask page by page instead, or try again later.")
        return StreamingResponse(
            self._counted(follower, holder, prove, keeps_alive=media_type == EVENT_STREAM),
            media_type=media_type,
            headers={"cache-control": "no-store", "x-accel-buffering": "no"},
        )

    async def _counted(self, follower: Follower, holder: Holder, prove: Prove, keeps_alive: bool) -> AsyncIterator[str]:
        """The stream counts from its first frame until its reader leaves."""
        self._count[holder] += 1
        try:
            async for frames in self._frames(follower, entry(holder[0]), prove):
                if frames or keeps_alive:
                    yield frames or KEEP_ALIVE
        finally:
            self._count[holder] -= 1
            self._count += Counter()  # nobody is remembered who has none

    async def _frames(self, follower: Follower, may_enter: str, prove: Prove) -> AsyncIterator[str]:
        """What is found, as it comes; nothing where nothing has come for a while."""
        clock = asyncio.get_running_loop().time
        with self.bells.waiting(follower.topic, may_enter) as bell:
            looks_at = clock() + _about(LOOK_SECONDS)
            rung = {follower.topic}
            while True:
                is_due = clock() >= looks_at
                if is_due:
                    looks_at = clock() + _about(LOOK_SECONDS)
                if (is_due or may_enter in rung) and not await self._is_proven(prove):
                    return
                if is_due or follower.topic in rung:
                    found = await follower.look()
                    if found.frames:
                        yield "".join(found.frames)
                    if found.is_over:
                        return
                    if found.is_more:
                        continue
                    if found.frames:
                        await asyncio.sleep(BURST_SECONDS)
                rung = await bell.wait(min(_about(KEEP_ALIVE_SECONDS), max(0.0, looks_at - clock())))
                if not rung:
                    yield ""

    async def _is_proven(self, prove: Prove) -> bool:
        """Whether what its reader came with holds: a key may be revoked while a stream is open."""
        try:
            await self.bells.in_thread(prove)
        except ServiceError:
            return False
        return True


def _about(seconds: float) -> float:
    """Streams that were rung together must not all look together ever after."""
    return seconds * random.uniform(0.8, 1.2)  # noqa: S311 - jitter is no secret


def frame(data: Any, event_id: str | int | None = None, event: str | None = None) -> str:
    """One server-sent event."""
    fields = [("id", event_id), ("event", event), ("data", json.dumps(data))]
    return "".join(f"{name}: {value}\n" for name, value in fields if value is not None) + "\n"


def wants_stream(request: Request) -> bool:
    """Whether server-sent events were asked for, as a browser's EventSource does."""
    return request.headers.get("accept", "").startswith(EVENT_STREAM)
