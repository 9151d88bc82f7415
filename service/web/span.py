"""Which days a page about money looks at: the present window of a budget, the last days, or a month."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

WINDOW = "window"
ROLLING = {"7d": 7, "30d": 30, "90d": 90}
MONTHS = 6
# GET /usage answers for this long at most; a `total` window may be longer.
LONGEST = timedelta(days=400)


@dataclass(frozen=True)
class Span:
    """From `since` up to but not at `until`; `name` is how the address says it, `words` how people do. `choices` are
    what may be chosen in its place. `is_cut`: the window began earlier than one answer of the API goes back."""

    name: str
    words: str
    since: datetime
    until: datetime
    days: Sequence[date]
    choices: Sequence[tuple[str, str]]
    is_cut: bool = False


def chosen(name: str, now: datetime, time_zone: str, budget: Mapping[str, Any] | None) -> Span:
    """The span of that name, by the days of a time zone; the window of `budget` or, without one, the present month
    where the name is none."""
    zone = ZoneInfo(time_zone)
    today = now.astimezone(zone).date()
    months = _months(today)
    choices = [
        *([(WINDOW, "this window")] if budget is not None else []),
        *((one, f"last {days} days") for one, days in ROLLING.items()),
        *((f"{month:%Y-%m}", f"{month:%B}" if month.year == today.year else f"{month:%B %Y}") for month in months),
    ]
    tomorrow = today + timedelta(days=1)
    if name in ROLLING:
        first, end = tomorrow - timedelta(days=ROLLING[name]), tomorrow
    elif name in dict(choices) and name != WINDOW:
        first = date.fromisoformat(f"{name}-01")
        end = _following(first)
    elif budget is not None:
        return _window(budget, now, zone, choices)
    else:
        name, first, end = f"{months[0]:%Y-%m}", months[0], _following(months[0])
    return Span(name, dict(choices)[name], _midnight(first, zone), _midnight(end, zone), _days(first, end), choices)


def _window(budget: Mapping[str, Any], now: datetime, zone: ZoneInfo, choices: Sequence[tuple[str, str]]) -> Span:
    began, end = datetime.fromisoformat(budget["window_start"]), datetime.fromisoformat(budget["window_end"])
    tomorrow = _midnight(now.astimezone(zone).date() + timedelta(days=1), zone)
    until = tomorrow if budget["period"] == "total" else end
    since = max(began, until - LONGEST)
    days = _days(since.astimezone(zone).date(), (until - timedelta(microseconds=1)).astimezone(zone).date(), True)
    return Span(WINDOW, "this window", since, until, days, choices, since > began)


def _months(today: date) -> list[date]:
    found = [today.replace(day=1)]
    while len(found) < MONTHS:
        found.append((found[-1] - timedelta(days=1)).replace(day=1))
    return found


def _following(month: date) -> date:
    return (month + timedelta(days=32)).replace(day=1)


def _days(first: date, end: date, with_end: bool = False) -> list[date]:
    return [first + timedelta(days=back) for back in range((end - first).days + with_end)]


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
