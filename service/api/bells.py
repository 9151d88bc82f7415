"""What committed works have told, brought to those who wait for it on this process's event loop.

A ring wakes everybody who waits for a topic, at the same moment; what they then read is read once for all who ask for
the same.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from anyio import CapacityLimiter, to_thread

from service.store.topics import EVERYTHING, Topics

T = TypeVar("T")

# A thousand who look at once must not keep requests from the threads that answer them.
MOST_THREADS = 4
# What was read is shared for so long, should no ring end that before.
SHARED_SECONDS = 1.0


class Bell:
    """Of one who waits: which of their topics have rung since they last looked."""

    def __init__(self) -> None:
        self._rung: set[str] = set()
        self._is_rung = asyncio.Event()

    def ring(self, topic: str) -> None:
        """There is news of this topic."""
        self._rung.add(topic)
        self._is_rung.set()

    async def wait(self, seconds: float) -> set[str]:
        """The topics that rang, as soon as there are any; none after so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._is_rung.wait()
        self._is_rung.clear()
        rung, self._rung = self._rung, set()
        return rung


class Bells:
    """All of a process."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._limiter: CapacityLimiter
        self._waiting: defaultdict[str, set[Bell]] = defaultdict(set)
        self._reads: defaultdict[str, dict[Hashable, asyncio.Future[Any]]] = defaultdict(dict)

    @contextmanager
    def waiting(self, *topics: str) -> Iterator[Bell]:
        """A bell that rings for these topics meanwhile."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._loop, self._limiter = loop, CapacityLimiter(MOST_THREADS)
        bell = Bell()
        for topic in topics:
            self._waiting[topic].add(bell)
        try:
            yield bell
        finally:
            for topic in topics:
                self._waiting[topic].discard(bell)
                if not self._waiting[topic]:
                    del self._waiting[topic]

    def ring(self, topics: Topics) -> None:
        """Tell whoever waits; from any thread."""
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(self._ring, topics)

    async def in_thread(self, read: Callable[[], T]) -> T:
        """What a function returns that waits for the database."""
        return await to_thread.run_sync(read, limiter=self._limiter)

    async def read(self, topic: str, what: Hashable, read: Callable[[], T]) -> T:
        """The same, shared by all who ask `what` of a topic until it rings. So nobody who asks after a ring is answered
        with what was read before it."""
        shared = self._reads[topic]
        if (reading := shared.get(what)) is None:
            reading = shared[what] = asyncio.ensure_future(self.in_thread(read))
            asyncio.get_running_loop().call_later(SHARED_SECONDS, self._forget, topic, what, reading)
        return await asyncio.shield(reading)

    def _ring(self, topics: Topics) -> None:
        for topic in list(self._waiting) if topics >= EVERYTHING else topics:
            self._reads.pop(topic, None)
            for bell in self._waiting.get(topic, ()):
                bell.ring(topic)

    def _forget(self, topic: str, what: Hashable, reading: asyncio.Future[Any]) -> None:
        shared = self._reads.get(topic, {})
        if shared.get(what) is reading:
            del shared[what]
            if not shared:
                del self._reads[topic]
        if reading.done() and not reading.cancelled():
            reading.exception()  # of one whose readers have left, nobody has asked
