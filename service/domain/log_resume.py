"""Where a log goes on: every connection to a log stream replays it from the start, and what is known must not double.

A stream replays the same lines in the same order, so lines are counted, and the last one that is known has to stand
where it stood. Where it does not (a container's log was rotated, and its beginning is gone), what is newer than it is
new.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from service.domain.log_line import LogLine


class Resume:
    """One connection's lines against those that are known: how many, and the last of them, as `kept` makes it of the
    line that is read (masked)."""

    def __init__(
        self, known: int, last: LogLine | None, kept: Callable[[LogLine], LogLine] = lambda line: line
    ) -> None:
        self._known = known
        self._last = last
        self._kept = kept
        self._seen = 0
        # lines that would be new if the count turned out to be of no use
        self._newer: list[LogLine] = []

    def new(self, lines: Iterable[LogLine]) -> list[LogLine]:
        """Those of the next lines that are not known yet."""
        found: list[LogLine] = []
        for line in lines:
            self._seen += 1
            if self._seen > self._known:
                found.append(line)
            elif self._is_newer(line):
                self._newer.append(line)
            if self._seen == self._known and self._kept(line) != self._last:
                found += self._rest()
        return found

    def at_end(self) -> list[LogLine]:
        """What is new of a stream that ended, or fell silent, before it came to what is known."""
        return self._rest() if self._seen < self._known else []

    def _is_newer(self, line: LogLine) -> bool:
        if self._last is None or self._last.at is None or line.at is None:
            return False
        return line.at > self._last.at

    def _rest(self) -> list[LogLine]:
        found, self._newer, self._known = self._newer, [], 0
        return found
