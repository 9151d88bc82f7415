"""Budget windows: the fixed span of time in which a limit holds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

UTC = ZoneInfo("UTC")


@dataclass(frozen=True)
class Balance:
    """A budget window's standing in micro-dollars. `reserved` is held for attempts that have not ended."""

    limit: int
    reserved: int
    charged: int

    @property
    def remaining(self) -> int:
        """What may still be reserved; negative after an overrun or a lowered limit."""
        return self.limit - self.reserved - self.charged


def month_window(now: datetime, zone: ZoneInfo = UTC) -> tuple[datetime, datetime]:
    """The calendar month around `now` in a time zone, as UTC borders: start (inclusive) and end (exclusive)."""
    local = now.astimezone(zone)
    start = datetime(local.year, local.month, 1, tzinfo=zone)
    following = (local.year + 1, 1) if local.month == 12 else (local.year, local.month + 1)
    end = datetime(*following, 1, tzinfo=zone)
    return start.astimezone(UTC), end.astimezone(UTC)
