"""Budgets: whom they bind, for how long, and how their present window stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

UTC_ZONE = ZoneInfo("UTC")

# Where a `total` budget's one window ends.
NEVER = datetime(9999, 12, 31, tzinfo=UTC)
DEFAULT_THRESHOLDS = (50, 80, 100)


class Scope(StrEnum):
    """Whose spending a budget bounds. A run must fit every budget above it."""

    ORGANISATION = "organisation"
    TEAM = "team"
    USER = "user"
    ORIGIN = "origin"


class Period(StrEnum):
    """How often a budget begins anew."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    TOTAL = "total"


@dataclass(frozen=True)
class Balance:
    """A budget window's standing in micro-dollars.

    `limit` holds what was carried over and granted. `reserved` is held for attempts that have not ended; `outside` is
    the cost of jobs that did not come through the gate, where the organisation counts them.
    """

    limit: int
    reserved: int
    charged: int
    outside: int = 0

    @property
    def remaining(self) -> int:
        """What may still be reserved; negative after an overrun or a lowered limit."""
        return self.limit - self.reserved - self.spent

    @property
    def spent(self) -> int:
        """What will not come back."""
        return self.charged + self.outside


def window(period: Period, now: datetime, zone: ZoneInfo = UTC_ZONE) -> tuple[datetime, datetime]:
    """The day, week (from Monday) or month around `now` in a time zone, as UTC borders: start (inclusive), end
    (exclusive). A `total` window begins now and never ends."""
    # Without `fold`: a day begins at the first of two midnights.
    local = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None, fold=0)
    match period:
        case Period.TOTAL:
            return now.astimezone(UTC), NEVER
        case Period.DAY:
            start, end = local, local + timedelta(days=1)
        case Period.WEEK:
            start = local - timedelta(days=local.weekday())
            end = start + timedelta(days=7)
        case Period.MONTH:
            start = local.replace(day=1)
            end = (start + timedelta(days=32)).replace(day=1)
    return _utc(start, zone), _utc(end, zone)


def following(period: Period, previous_end: datetime, now: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The window around `now` after one that ended at `previous_end`: it never reaches back into that one, whatever
    time zone that one was made in."""
    start, end = window(period, now, zone)
    return max(start, previous_end), end


def carried(previous: Balance, is_adjacent: bool, limit: int) -> int:
    """What an ended window hands on to the next: its unspent money, at most one period's limit. Periods in which
    nothing moved have no window; then the one just before the new one was unspent whole."""
    return max(0, min(limit, previous.remaining)) if is_adjacent else limit


def crossed(thresholds: Sequence[int], told: int, balance: Balance) -> list[int]:
    """The thresholds (percent of the limit) that spending has reached and that were not told of yet, ascending."""
    if balance.limit <= 0:
        return []
    return [
        percent for percent in sorted(thresholds) if percent > told and balance.spent * 100 >= balance.limit * percent
    ]


def reached(thresholds: Sequence[int], balance: Balance) -> int:
    """The highest threshold that spending has reached, 0 for none."""
    return max(crossed(thresholds, 0, balance), default=0)


@dataclass(frozen=True)
class Forecast:
    """Where a window's spending leads at its present rate. `ends_at`: when the money is spent, None if it lasts."""

    per_day: int
    by_window_end: int | None
    ends_at: datetime | None


def forecast(balance: Balance, recent: int, span: timedelta, now: datetime, window_end: datetime) -> Forecast:
    """Carry the rate of `recent` micro-dollars within `span` on to the end of the window."""
    seconds = max(1.0, span.total_seconds())
    rate = recent / seconds
    left = max(0, balance.limit - balance.spent)
    is_bounded = window_end < NEVER
    by_end = balance.spent + round(rate * max(0.0, (window_end - now).total_seconds())) if is_bounded else None
    ends_at = None
    if rate > 0 and left / rate < timedelta(days=36500).total_seconds():
        ends_at = now + timedelta(seconds=left / rate)
    if ends_at is not None and is_bounded and ends_at >= window_end:
        ends_at = None
    return Forecast(round(rate * 86400), by_end, ends_at)


def _utc(local: datetime, zone: ZoneInfo) -> datetime:
    return local.replace(tzinfo=zone).astimezone(UTC)
