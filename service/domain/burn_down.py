"""How a budget's window was spent, step by step: a day at a time, in a window of one day an hour."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from service.domain.budget import Period


@dataclass(frozen=True)
class Step:
    """A part of a window, `starts_at` included and `ends_at` not, and the micro-dollars that were charged in it."""

    starts_at: datetime
    ends_at: datetime
    charged: int


def steps(
    charges: Iterable[tuple[datetime, int]], period: Period, window: tuple[datetime, datetime], zone: ZoneInfo
) -> list[Step]:
    """Charges by when they were booked, as the steps of their window; those in which nothing was charged are left out.
    Days begin in `zone`. What was booked beyond a border (a clock was set back) counts to the step at that border."""
    sums: dict[datetime, int] = {}
    first, end = window
    for at, amount in charges:
        start = _start(min(max(at, first), end - timedelta(microseconds=1)), period, zone)
        sums[start] = sums.get(start, 0) + amount
    return [
        Step(max(start, first), min(_end(start, period, zone), end), charged) for start, charged in sorted(sums.items())
    ]


def _start(at: datetime, period: Period, zone: ZoneInfo) -> datetime:
    """The beginning of the hour, or of the day, as a time of UTC."""
    if period is Period.DAY:
        return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    return at.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0, fold=0).astimezone(UTC)


def _end(start: datetime, period: Period, zone: ZoneInfo) -> datetime:
    if period is Period.DAY:
        return start + timedelta(hours=1)
    following = start.astimezone(zone).replace(tzinfo=None) + timedelta(days=1)
    return following.replace(tzinfo=zone).astimezone(UTC)
