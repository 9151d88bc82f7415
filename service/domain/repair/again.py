"""The next try of a run, with the change that is made for it and what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from service.domain.money import dollars, to_usd


@dataclass(frozen=True)
class Setting:
    """One setting of a run by its field, as it was and as it will be."""

    field: str
    before: Any
    after: Any

    def __str__(self) -> str:
        return f"{self.field.rpartition('.')[2]} {_shown(self.before)} → {_shown(self.after)}"


@dataclass(frozen=True)
class Again:
    """A try that would be sensible. No `settings`: the same again. `ceiling` and `expected` are micro-dollars of that
    one try: the most that it can cost, and what half of such tries cost at the most; None where it is not known."""

    settings: tuple[Setting, ...]
    note: str
    ceiling: int | None
    expected: int | None = None

    @property
    def change(self) -> str:
        """What is done, in words: `per_device_train_batch_size 8 → 4, … ($0.51 at the most, about $0.32)`."""
        done = ", ".join(map(str, self.settings)) or "unchanged"
        note = f"; {self.note}" if self.note else ""
        price = [] if self.ceiling is None else [f"{dollars(self.ceiling)} at the most"]
        price += [] if self.expected is None else [f"about {dollars(self.expected)}"]
        return f"{done}{note}" + (f" ({', '.join(price)})" if price else "")

    def as_json(self) -> dict[str, Any]:
        """`repair` of a failure, where it is offered, and of the attempt that it was made for."""
        return {
            "change": self.change,
            "settings": [{"field": one.field, "from": one.before, "to": one.after} for one in self.settings],
            "ceiling_usd": None if self.ceiling is None else to_usd(self.ceiling),
            "expected_usd": None if self.expected is None else to_usd(self.expected),
        }


def _shown(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(str, value))
    return str(value)
