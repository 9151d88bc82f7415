"""What is left of a budget's window, from its beginning to where its present rate leads, as a chart and as words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from service.web.chart import chart, mark, series
from service.web.wording import usd

# How far a chart looks ahead of a window that never ends: as far as it looks back, within these bounds.
NEAREST, FARTHEST = timedelta(days=7), timedelta(days=90)


def address(budget: Mapping[str, Any]) -> str:
    """Where the API has the steps of a budget's window."""
    owner = "/organisation" if budget["team"] is None else f"/teams/{budget['team']}"
    asked = {"period": budget["period"], **({} if budget["user"] is None else {"user": budget["user"]})}
    return f"{owner}/budget/burn-down?{urlencode(asked)}"


def burn_down(budget: Mapping[str, Any], spent: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """The chart of what is not spent yet, held or not. Jobs outside the gate, where they count, are off it from the
    beginning: when their cost arose is not known."""
    whole = budget["limit_usd"] + budget["carried_usd"] + budget["granted_usd"]
    left_now = budget["remaining_usd"] + budget["reserved_usd"]
    left = left_now + budget["charged_usd"]
    points = [(_seconds(spent["window_start"]), left)]
    for step in spent["data"]:
        points.append((max(points[-1][0], _seconds(step["from"])), left))
        left = round(left - step["charged_usd"], 6)
        points.append((min(_seconds(step["to"]), now.timestamp()), left))
    points.append((now.timestamp(), left_now))
    ahead = _ahead(budget, left_now, now)
    x = sorted({at for at, _ in points + ahead})
    past, future = dict(points), dict(ahead)
    drawn = chart(
        x,
        [
            series("left", [past.get(at) for at in x], "ink"),
            series("at this rate", [future.get(at) for at in x], "gate", "dashed"),
        ],
        x_is="time",
        y_is="usd",
        marks=[mark("now", "soft", x=now.timestamp()), mark(f"limit {usd(whole)}", "soft", y=whole)],
        from_zero=left_now >= 0,
    )
    return {"what": drawn, "words": _words(budget, whole, left_now)}


def _ahead(budget: Mapping[str, Any], left: float, now: datetime) -> list[tuple[float, float]]:
    """From now to the window's end, or to where the money is spent and on along the ground."""
    rate, ends_at = budget["forecast"]["per_day_usd"], budget["forecast"]["ends_at"]
    end = _horizon(budget, now)
    points = [(now.timestamp(), left)]
    if ends_at is not None and _seconds(ends_at) < end:
        points.append((max(_seconds(ends_at), points[0][0] + 1), 0.0))
        return [*points, (end, 0.0)]
    return [*points, (end, left - rate * (end - now.timestamp()) / 86_400)]


def _horizon(budget: Mapping[str, Any], now: datetime) -> float:
    if budget["period"] != "total":
        return _seconds(budget["window_end"])
    back = now - datetime.fromisoformat(budget["window_start"])
    return (now + min(max(back, NEAREST), FARTHEST)).timestamp()


def _words(budget: Mapping[str, Any], whole: float, left: float) -> str:
    ahead = budget["forecast"]
    told = f"Of {usd(whole)}, {usd(left)} is not spent now, {usd(budget['reserved_usd'])} of it reserved. "
    if ahead["ends_at"] is not None:
        return told + f"At {usd(ahead['per_day_usd'])} a day it is spent on {ahead['ends_at'][:10]}."
    if ahead["by_window_end_usd"] is not None:
        return told + f"At {usd(ahead['per_day_usd'])} a day {usd(ahead['by_window_end_usd'])} is spent at the end."
    return told + f"It shrinks by {usd(ahead['per_day_usd'])} a day."


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
