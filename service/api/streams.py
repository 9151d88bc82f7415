"""Answers that go on for as long as their readers like: counted, as each holds a connection."""

from __future__ import annotations

from collections.abc import AsyncIterator


class OpenStreams:
    """How many there are in this process."""

    def __init__(self) -> None:
        self._count = 0

    def is_full(self, most: int) -> bool:
        """Whether there are so many already."""
        return self._count >= most

    async def counted(self, frames: AsyncIterator[str]) -> AsyncIterator[str]:
        """The same frames; the stream counts from its first one until its reader leaves."""
        self._count += 1
        try:
            async for frame in frames:
                yield frame
        finally:
            self._count -= 1
