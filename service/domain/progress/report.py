"""Numbers that a script posts to its callback URL: by the names, and in the values, that a training prints."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from service.domain.errors import Invalid
from service.domain.progress.point import (
    LONGEST_NAME,
    MOST_NUMBERS,
    SAYS_SOMETHING,
    STEP_KEYS,
    TOTAL_KEYS,
    number,
    says_something,
)

MOST_STEPS = 10**12
REPORT = {"step": 20, "total_steps": 100, "loss": 1.83, "learning_rate": 5e-5}
REMEDY = f'Send numbers by the names that a training prints, as {json.dumps(REPORT)}; no number is "nan" or "inf".'


def check_report(values: Mapping[str, object]) -> None:
    """Raise Invalid for what says nothing of a training, or is too much for one step."""
    if not says_something(values):
        names = ", ".join(sorted(SAYS_SOMETHING))
        raise Invalid(f"a report has one of {names}, or a name that begins with eval_", field="body", remedy=REMEDY)
    if len(values) > MOST_NUMBERS:
        raise Invalid(f"a report has at most {MOST_NUMBERS} numbers", field="body", remedy="Leave the others out.")
    for name, value in values.items():
        if len(name) > LONGEST_NAME:
            raise Invalid(f"a name has at most {LONGEST_NAME} characters", field=name[:LONGEST_NAME], remedy=REMEDY)
        if (read := number(value)) is None:
            raise Invalid("not a number", field=name, remedy=REMEDY)
        if name in (*STEP_KEYS, *TOTAL_KEYS) and not (0 <= read < MOST_STEPS and read == int(read)):
            raise Invalid(f"a whole number from 0 to {MOST_STEPS:,}", field=name, remedy=REMEDY)
    _check_order(values)


def _check_order(values: Mapping[str, object]) -> None:
    step, total = (_first(values, names) for names in (STEP_KEYS, TOTAL_KEYS))
    if step is not None and total is not None and step > total:
        raise Invalid(f"step {step:.0f} lies beyond the last one, {total:.0f}", field="step", remedy=REMEDY)


def _first(values: Mapping[str, object], names: Sequence[str]) -> float | None:
    return next((number(values[name]) for name in names if name in values), None)
