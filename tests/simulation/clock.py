"""Simulated time: the true time that Hugging Face lives by, and a wall clock of ours that may be wrong."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

START = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


@dataclass
class SimulatedClock:
    """Stands still until it is turned, in whole milliseconds: that is how exactly the wire tells times."""

    true: datetime = START
    offset: timedelta = field(default_factory=timedelta)

    def hub(self) -> datetime:
        """The time at Hugging Face."""
        return self.true

    def wall(self) -> datetime:
        """The time that the service believes."""
        return self.true + self.offset

    def monotonic(self) -> float:
        """Seconds that no step of the wall clock can stretch."""
        return (self.true - START).total_seconds()

    def advance_to(self, moment: datetime) -> None:
        """Let time pass until a moment; never backwards."""
        self.true = max(self.true, moment)

    def jump(self, milliseconds: int, most: timedelta) -> None:
        """Set the wall clock forward or back, no further from the true time than `most`; no time passes."""
        offset = self.offset + timedelta(milliseconds=milliseconds)
        self.offset = max(-most, min(most, offset))
