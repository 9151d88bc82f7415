"""The numbers of one logging step, as a training prints them: a dict in the log.

transformers 4 prints numbers, transformers 5 quoted numbers of four digits (ProgressCallback.on_log); a script of the
caller's own may print the same, or JSON.
"""

from __future__ import annotations

import ast
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from service.domain.progress.printed import dicts

# Python prints numbers that are none bare, which is no literal.
BARE = re.compile(r"(?<=[:\s])(-?(?:nan|inf))(?=\s*[,}])")
SAYS_SOMETHING = frozenset(
    {"loss", "train_loss", "eval_loss", "learning_rate", "grad_norm", "train_runtime", "step", "global_step"}
)
STEP_KEYS = ("step", "global_step", "train/global_step")
TOTAL_KEYS = ("total_steps", "max_steps")
MOST_NUMBERS, LONGEST_NAME = 30, 60
LARGEST = 1e300


@dataclass(frozen=True)
class Point:
    """`numbers` by the names that the log gives them. `not_finite`: those that were NaN or infinite, which JSON has no
    number for. `step` is what the dict itself says."""

    kind: Literal["train", "eval", "summary"]
    numbers: dict[str, float]
    not_finite: tuple[str, ...] = ()
    step: int | None = None
    total_steps: int | None = None
    at: datetime | None = field(default=None, compare=False)

    def get(self, *names: str) -> float | None:
        """The first of these that is there."""
        return next((self.numbers[name] for name in names if name in self.numbers), None)

    def unfiltered(self) -> Point:
        """With a loss that is NaN where transformers' logging_nan_inf_filter printed 0; the gradient's norm tells."""
        if self.numbers.get("loss") != 0 or "grad_norm" not in self.not_finite:
            return self
        numbers = {name: value for name, value in self.numbers.items() if name != "loss"}
        return replace(self, numbers=numbers, not_finite=("loss", *self.not_finite))


def points_in(text: str) -> Iterator[Point]:
    """Every dict of training numbers that a line is there for. One that holds anything else is a row of data."""
    for found in dicts(text):
        values = _values(found)
        if values is not None and says_something(values) and all(number(one) is not None for one in values.values()):
            yield point_of(values)


def says_something(values: Mapping[str, object]) -> bool:
    """Whether these are numbers of a training."""
    return bool(SAYS_SOMETHING & values.keys()) or any(_is_eval(name) for name in values)


def point_of(values: Mapping[str, object]) -> Point:
    """The numbers among them, at most 30."""
    numbers: dict[str, float] = {}
    strange = []
    for name, value in list(values.items())[:MOST_NUMBERS]:
        if (read := number(value)) is None:
            continue
        if math.isfinite(read) and abs(read) < LARGEST:
            numbers[name] = read
        else:
            strange.append(name)
    return Point(_kind(values), numbers, tuple(strange), _count(numbers, STEP_KEYS), _count(numbers, TOTAL_KEYS))


def number(value: object) -> float | None:
    """A number as a log writes it, NaN and infinities among them; None for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def _values(text: str) -> dict[str, Any] | None:
    try:
        values = ast.literal_eval(BARE.sub(r"'\1'", text))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        try:
            values = json.loads(text)
        except (ValueError, RecursionError):
            return None
    if not isinstance(values, dict):
        return None
    return {name: value for name, value in values.items() if isinstance(name, str) and len(name) <= LONGEST_NAME}


def _kind(values: Mapping[str, object]) -> Literal["train", "eval", "summary"]:
    if "train_runtime" in values:
        return "summary"
    return "eval" if any(_is_eval(name) for name in values) else "train"


def _is_eval(name: str) -> bool:
    return name.startswith(("eval_", "eval/"))


def _count(numbers: dict[str, float], names: tuple[str, ...]) -> int | None:
    found = next((numbers[name] for name in names if name in numbers), None)
    return int(found) if found is not None and 0 <= found < 2**53 else None
