"""How pages tell of what was spent and of what was changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from service.web.wording import usd, words

# What money went to that made no run succeed, in words.
WASTED = {
    "timed_out": ("timed out", "its timeout ended the job before it was done"),
    "cancelled": ("cancelled", "it was stopped when it had cost something already"),
    "output_missing": ("no model came of it", "the job ended well, and its model is not on the Hub"),
    "stray": ("a second job of a run", "it was started outside the gate, under a run's name"),
}

PERIODS = {"day": "today", "week": "this week", "month": "this month", "total": "in all"}


def outcome(code: str) -> str:
    """What a run's money came to: `useful`, `open`, or why it was wasted."""
    if code in WASTED:
        return WASTED[code][0]
    return f"failed: {words(code.removeprefix('failed:'))}" if code.startswith("failed:") else words(code)


def outcome_means(code: str) -> str:
    """The same in a sentence's half; empty where the word says it all."""
    return WASTED[code][1] if code in WASTED else ""


def period(code: str) -> str:
    """A budget's period as a time: `this month`."""
    return PERIODS.get(code, words(code))


def entered(value: Any) -> str:
    """A value as people would type it into its field."""
    return "" if value is None else f"{value:.10g}" if isinstance(value, float) else str(value)


def changed(change: Mapping[str, Any]) -> list[str]:
    """What an entry of the audit log says of a change: each member that is another one afterwards, or all it tells."""
    before, after = change.get("before") or {}, change.get("after")
    if "after" not in change or not isinstance(before, Mapping):
        return [_member(name, value) for name, value in change.items() if name not in ("event", "subject")]
    if after is None:
        return ["ended"]
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    return [
        f"{_member(name, before[name])} → {_value(name, after.get(name))}"
        if name in before
        else _member(name, after[name])
        for name in names
    ]


def _member(name: str, value: Any) -> str:
    return f"{words(name.removesuffix('_usd'))}: {_value(name, value)}"


def _value(name: str, value: Any) -> str:
    if value is None or value == []:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return usd(value) if name.endswith("_usd") and isinstance(value, int | float) else str(value)
