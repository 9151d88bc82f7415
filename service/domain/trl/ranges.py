"""How large and how small a flag's number may be: `ranges.toml`, with a source each."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from math import isfinite
from typing import Any


@dataclass(frozen=True)
class Range:
    """Bounds of a number; None is no bound. `also` are values outside that mean something of their own."""

    source: str
    min: float | None = None
    max: float | None = None
    above: float | None = None
    below: float | None = None
    also: tuple[int, ...] = ()

    def holds(self, value: float) -> bool:
        """Whether a number is within. Integers of any length are compared exactly."""
        if value in self.also:
            return True
        return (
            (self.min is None or value >= self.min)
            and (self.max is None or value <= self.max)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
        )

    @property
    def words(self) -> str:
        """The bounds, as in "from 1 to 1000"."""
        low = f"above {_plain(self.above)}" if self.above is not None else None
        low = f"from {_plain(self.min)}" if self.min is not None else low
        high = f"below {_plain(self.below)}" if self.below is not None else None
        high = f"up to {_plain(self.max)}" if self.max is not None else high
        told = " ".join(part for part in (low, high) if part)
        return f"{told}, or {', '.join(map(str, self.also))}" if self.also else told

    def as_json_schema(self) -> dict[str, Any]:
        """The same in JSON Schema."""
        names = {"min": "minimum", "max": "maximum", "above": "exclusiveMinimum", "below": "exclusiveMaximum"}
        bounds = {word: getattr(self, name) for name, word in names.items() if getattr(self, name) is not None}
        return {"anyOf": [{"enum": list(self.also)}, bounds]} if self.also else bounds


@cache
def ranges() -> dict[str, Range]:
    """All ranges, by flag."""
    told = tomllib.loads(files("service.domain.trl").joinpath("ranges.toml").read_text("utf-8"))
    return {name: Range(**{**one, "also": tuple(one.get("also", ()))}) for name, one in told.items()}


def range_refusal(name: str, value: object, default: object) -> tuple[str, str] | None:
    """The rule that a flag's number breaks, and what to send; None where it is within, or no number."""
    known = ranges().get(name)
    if known is None or isinstance(value, bool) or not isinstance(value, int | float) or known.holds(value):
        return None
    if isinstance(value, float) and not isfinite(value):
        return None  # a rule of its own
    is_example = isinstance(default, int | float) and known.holds(default) and default not in known.also
    example = f", such as {default}" if is_example else ""
    return (
        f"takes a number {known.words}, not {_short(value)}",
        f"Send a number {known.words}{example}; or leave it out.",
    )


def _plain(value: float | None) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _short(value: float) -> str:
    if isinstance(value, int) and abs(value) > 10**20:
        return "a number of more than 20 digits"
    return repr(value)
