"""When a schedule is due: by a cron expression in its time zone, or every so many seconds.

Cron expressions are read by cronsim, which goes through a change of the clocks as Debian's cron does: a daily time that
is skipped comes at the change, one that comes twice counts once, and every hour means every hour that passes.
APScheduler's own trigger repeats the hour of autumn without end (3.11.3), and takes Sunday for Monday.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import islice
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from service.domain.errors import BrokenRule

# What is begun so late counts as on time: a restart, a change of the leader.
GRACE = timedelta(minutes=5)
# Of the times that passed while nobody was there, so many are looked through for the last one.
MOST_MISSED = 10_000
# cronsim would take a sixth, of seconds.
FIELDS = 5


class Misfire(StrEnum):
    """What becomes of times that passed while nothing could be started: none of them counts, or the last one does."""

    SKIP = "skip"
    RUN_ONCE = "run_once"


@dataclass(frozen=True)
class Timing:
    """`cron` or `every_seconds`; intervals are counted from `anchor`."""

    cron: str | None
    every_seconds: int | None
    zone: ZoneInfo
    anchor: datetime

    def after(self, moment: datetime) -> datetime:
        """The first time after a moment, in UTC."""
        return next(self.following(moment))

    def following(self, moment: datetime) -> Iterator[datetime]:
        """The times after a moment, in UTC, without end."""
        if self.cron is not None:
            for local in CronSim(self.cron, moment.astimezone(self.zone)):
                yield local.astimezone(UTC)
        assert self.every_seconds is not None, "a schedule has one or the other"
        count = max(1, math.floor((moment - self.anchor).total_seconds() / self.every_seconds) + 1)
        while True:
            yield self.anchor + timedelta(seconds=count * self.every_seconds)
            count += 1

    def last_before(self, first: datetime, now: datetime) -> datetime:
        """The last time up to `now`, from `first` on, which is one of them."""
        if self.every_seconds is not None:
            passed = math.floor((now - self.anchor).total_seconds() / self.every_seconds)
            return max(first, self.anchor + timedelta(seconds=passed * self.every_seconds))
        last = first
        for one in islice(self.following(first), MOST_MISSED):
            if one > now:
                break
            last = one
        return last


def checked_cron(text: str) -> str:
    """The same expression. Raises BrokenRule for what is none, or for one that never comes."""
    try:
        if len(text.split()) != FIELDS:
            raise CronSimError("it has another number of fields")
        next(CronSim(text, datetime(2026, 1, 1, tzinfo=UTC)))
    except (CronSimError, StopIteration) as error:
        raise BrokenRule(
            f"'{text}' is no cron expression" + (f": {error}" if str(error) else ", or never comes"),
            "Write five fields: minute, hour, day of month, month, day of week, such as '30 2 * * 1-5'.",
        ) from None
    return text


@dataclass(frozen=True)
class Due:
    """What a pass makes of a schedule that is due: for which time to start a run (None: for none), and how many times
    passed without one."""

    planned: datetime | None
    missed: int


def due(timing: Timing, next_at: datetime, misfire: Misfire, now: datetime) -> Due:
    """What to do about a schedule whose next time, `next_at`, has come."""
    last = timing.last_before(next_at, now)
    earlier = 0 if last == next_at else 1 + sum(1 for _ in _between(timing, next_at, last))
    if now - last <= GRACE or misfire is Misfire.RUN_ONCE:
        return Due(last, earlier)
    return Due(None, earlier + 1)


def _between(timing: Timing, first: datetime, last: datetime) -> Iterator[datetime]:
    for one in islice(timing.following(first), MOST_MISSED):
        if one >= last:
            return
        yield one
