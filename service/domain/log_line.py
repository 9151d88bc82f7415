"""A line of a job's log, as its log stream gives it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True)
class LogLine:
    """`timestamp` as the stream writes it, ISO 8601 in UTC as a rule; `text` without the line's end."""

    timestamp: str
    text: str

    @property
    def at(self) -> datetime | None:
        """When it was written; None where the timestamp is none."""
        try:
            at = datetime.fromisoformat(self.timestamp)
        except ValueError:
            return None
        return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
