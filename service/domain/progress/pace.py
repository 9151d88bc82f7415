"""How fast the steps come, and when the last one will."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from statistics import median, quantiles

# Enough for a range and few enough to be kept with the run. Closer ones say more of the log than of the work.
MOST_MARKS = 24
LEAST_APART_SECONDS = 2.0


@dataclass(frozen=True)
class Mark:
    """A moment at which a step had been done."""

    at: datetime
    step: int


@dataclass(frozen=True)
class Eta:
    """Seconds until the last step: as the mean of late comes to, and at the pace of its fast and its slow stretches."""

    seconds: float
    low: float
    high: float


def with_mark(marks: Sequence[Mark], mark: Mark) -> list[Mark]:
    """The marks with one more, thinned: the oldest go. Steps that begin anew (a resume) begin the marks anew."""
    if marks and mark.step < marks[-1].step:
        return [mark]
    if marks and (mark.step == marks[-1].step or (mark.at - marks[-1].at).total_seconds() < LEAST_APART_SECONDS):
        return list(marks)
    return [*marks, mark][-MOST_MARKS:]


def seconds_per_step(marks: Sequence[Mark]) -> list[float]:
    """Of each stretch between two marks, in order."""
    return [
        (later.at - earlier.at).total_seconds() / (later.step - earlier.step)
        for earlier, later in pairwise(marks)
        if later.step > earlier.step and later.at > earlier.at
    ]


def eta(marks: Sequence[Mark], steps_left: int | None) -> Eta | None:
    """None before there are two marks, or where nobody said how many steps there are. Pauses for evaluation and
    checkpoints are in the mean, as more of them will come."""
    paces = seconds_per_step(marks)
    if not paces or steps_left is None:
        return None
    mean = mean_step_seconds(marks)
    assert mean is not None
    if len(paces) < 3:
        low, high = min(paces), max(paces)
    else:
        tenths = quantiles(paces, n=10, method="inclusive")
        low, high = tenths[0], tenths[-1]
    return Eta(steps_left * mean, steps_left * min(low, mean), steps_left * max(high, mean))


def mean_step_seconds(marks: Sequence[Mark]) -> float | None:
    """Over all of them."""
    if len(marks) < 2 or marks[-1].at <= marks[0].at:
        return None
    return (marks[-1].at - marks[0].at).total_seconds() / (marks[-1].step - marks[0].step)


def typical_step_seconds(marks: Sequence[Mark]) -> float | None:
    """The median of the stretches."""
    paces = seconds_per_step(marks)
    return median(paces) if paces else None
