"""Where a training is in its time: when it began, where it is, when it will end, when its timeout cuts it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from service.domain.moment import iso


@dataclass(frozen=True)
class Course:
    """The present attempt of a run. `seen_at` is when the log's last step was written, `ends_at` and its bounds what
    that line leads to: None where the log does not tell. `cut_at`: when Hugging Face ends it."""

    began_at: datetime
    cut_at: datetime
    seen_at: datetime | None = None
    ends_at: datetime | None = None
    low_at: datetime | None = None
    high_at: datetime | None = None

    @property
    def spare(self) -> timedelta | None:
        """How long before its timeout the last step is done; negative where the timeout comes first."""
        return None if self.ends_at is None else self.cut_at - self.ends_at

    @property
    def bounds(self) -> tuple[str, str] | None:
        """Between when it ends, as times of the wire."""
        return None if self.low_at is None or self.high_at is None else (iso(self.low_at), iso(self.high_at))


def course_of(run: Mapping[str, Any], points: Sequence[Mapping[str, Any]]) -> Course | None:
    """Of a run that is training; None for any other. `points` are those of its present attempt."""
    latest = run["attempts"][-1] if run["attempts"] else None
    if run["state"] != "running" or latest is None or latest["started_at"] is None:
        return None
    began_at = datetime.fromisoformat(latest["started_at"])
    cut_at = began_at + timedelta(seconds=latest["timeout_seconds"])
    told = run["progress"] or {}
    seen = [point["at"] for point in points if point["kind"] == "train" and point["at"] is not None]
    if not seen or told.get("eta_seconds") is None:
        return Course(began_at, cut_at)
    seen_at = datetime.fromisoformat(seen[-1])

    def after(name: str) -> datetime:
        seconds = told.get(name)
        return seen_at + timedelta(seconds=told["eta_seconds"] if seconds is None else seconds)

    return Course(began_at, cut_at, seen_at, after("eta_seconds"), after("eta_low_seconds"), after("eta_high_seconds"))
