"""What a chart shows, as data: static/chart.js draws it, and the page says the same in words beside it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal

# Outcomes whose money bought nothing, as `waste` of GET /usage counts them; the others did, or may yet.
USEFUL = ("useful", "open")
Kind = Literal["line", "dashed", "bars", "band", "points"]


def series(label: str, values: Sequence[Any], color: str, kind: Kind = "line", **more: Any) -> dict[str, Any]:
    """One row of values over the chart's `x`. `color` is a token of static/tunegate.css; a `band` has [low, high] for
    each value, `scale="right"` puts a row on an axis of its own,
    `told` is what a pointer reads in place of its values."""
    return {"label": label, "values": list(values), "color": color, "kind": kind, **more}


def chart(
    x: Sequence[float],
    rows: Iterable[dict[str, Any]],
    *,
    x_is: Literal["number", "time"] = "number",
    y_is: Literal["number", "usd"] = "number",
    marks: Sequence[dict[str, Any]] = (),
    from_zero: bool = False,
) -> dict[str, Any]:
    """A whole chart. `x` are numbers, or seconds since 1970. A mark is a line at an `x` or a `y`, with a `label` and a
    `color`; with `to`, the band from `x` to there; with `at`, a time that its label ends with."""
    return {
        "x": list(x),
        "rows": list(rows),
        "x_is": x_is,
        "y_is": y_is,
        "marks": list(marks),
        "from_zero": from_zero,
    }


def mark(label: str, color: str, **at: float) -> dict[str, Any]:
    """A line across a chart, at `x=…` or `y=…`."""
    return {"label": label, "color": color, **at}


def stacked_days(groups: Iterable[Mapping[str, Any]], now: datetime, days: int) -> dict[str, Any]:
    """`daily` of the last days, which are those of UTC."""
    return daily(groups, [now.date() - timedelta(days=back) for back in reversed(range(days))])


def daily(groups: Iterable[Mapping[str, Any]], days: Sequence[date]) -> dict[str, Any]:
    """Dollars per day, useful below and wasted on top, of groups by `day` and `outcome`; a day without any is there."""
    useful: dict[str, float] = defaultdict(float)
    wasted: dict[str, float] = defaultdict(float)
    for group in groups:
        (useful if group["outcome"] in USEFUL else wasted)[group["day"]] += group["metered_usd"]
    names = [day.isoformat() for day in days]
    return chart(
        # a day's noon has its date almost everywhere, wherever its reader is
        [datetime.combine(day, time(12), UTC).timestamp() for day in days],
        [
            # drawn one over the other: the sum behind, what was useful before it; `told` is what a pointer reads
            series(
                "wasted",
                [useful[name] + wasted[name] for name in names],
                "stop",
                "bars",
                told=[wasted[name] for name in names],
            ),
            series("useful", [useful[name] for name in names], "ink", "bars"),
        ],
        x_is="time",
        y_is="usd",
        from_zero=True,
    )
