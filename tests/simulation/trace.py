"""What happened, line by line: the last lines for people, a hash of all for comparing two runs of a seed."""

from __future__ import annotations

import hashlib
from collections import deque

from tests.simulation.clock import SimulatedClock

SHOWN = 90


class Trace:
    """Lines with simulated time and the depth of what runs inside what."""

    def __init__(self, clock: SimulatedClock) -> None:
        self.step = 0
        self.depth = 0
        self._clock = clock
        self._lines: deque[str] = deque(maxlen=SHOWN)
        self._hash = hashlib.sha256()
        self._begun: list[str] = []

    def begin(self, text: str) -> None:
        """Something begins that is worth a line only if anything happens in it."""
        self._begun.append(self._line(text))

    def end(self) -> None:
        """What was begun last is over."""
        if self._begun:
            self._begun.pop()

    def note(self, text: str) -> None:
        """Add a line."""
        lines = [*self._begun, self._line(text)]
        self._begun.clear()
        for line in lines:
            self._lines.append(line)
            self._hash.update(line.encode() + b"\n")

    def _line(self, text: str) -> str:
        return f"{self.step:4} {self._clock.monotonic():12.3f} {'  ' * self.depth}{text}"

    @property
    def digest(self) -> str:
        """Equal for two runs in which the same things happened."""
        return self._hash.hexdigest()

    def text(self) -> str:
        """The last lines."""
        return "\n".join(self._lines)


INVARIANTS = (
    "what is beside the ten: one leader, no unforeseen failure, no start of what is held",
    "durable before 201",
    "idempotent",
    "one job per attempt",
    "never over a hard budget",
    "never over a concurrency limit",
    "conservation",
    "one event per change",
    "cancelled means stopped",
    "secrets stay secret",
    "an outcome is never overwritten",
)


class Violation(BaseException):
    """An invariant does not hold. Not an Exception: the steps fence those off and go on."""

    def __init__(self, invariant: int, text: str) -> None:
        super().__init__(invariant, text)
        self.invariant = invariant
        self.text = text

    def __str__(self) -> str:
        return f"invariant {self.invariant} ({INVARIANTS[self.invariant]}): {self.text}"


def demand(holds: object, invariant: int, text: str) -> None:
    """Raise Violation unless it holds."""
    if not holds:
        raise Violation(invariant, text)
