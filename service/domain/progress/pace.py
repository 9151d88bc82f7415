"""How fast the steps come, and when the last one will."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from statistics import median, quantiles

# Enough for a range and few enough to be kept with the run. Closer ones say more of the log than of the work; those
# of quick steps lie further apart the longer they are seen, so that all together they span ten minutes.
MOST_MARKS = 24
LEAST_APART_SECONDS, MOST_APART_SECONDS, SHARE_APART = 2.0, 25.0, 1 / 12


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
    """The marks with one more as the last, thinned: what is too near to the one before it goes, and the oldest.
    Steps that begin anew (a resume) begin the marks anew."""
    if not marks or mark.step < marks[-1].step:
        return [mark]
    if mark.step == marks[-1].step or mark.at <= marks[-1].at:
        return list(marks)
    is_near = len(marks) > 1 and _seconds(marks[-2], marks[-1]) < _apart(_seconds(marks[0], marks[-1]))
    kept = marks[:-1] if is_near else marks
    return [*kept, mark][-MOST_MARKS:]


def _seconds(earlier: Mark, later: Mark) -> float:
    return (later.at - earlier.at).total_seconds()


def _apart(span: float) -> float:
    return min(max(LEAST_APART_SECONDS, SHARE_APART * span), MOST_APART_SECONDS)


def seconds_per_step(marks: Sequence[Mark]) -> list[float]:
    """Of each stretch between two marks, in order."""
    return [
        _seconds(earlier, later) / (later.step - earlier.step)
        for earlier, later in pairwise(marks)
        if later.step > earlier.step and later.at > earlier.at
    ]


def eta(marks: Sequence[Mark], steps_left: int | None) -> Eta | None:
    """None before there is a pace, or where nobody said how many steps there are. Pauses for evaluation and
    checkpoints are in the mean, as more of them will come."""
    paces, mean = seconds_per_step(marks), mean_step_seconds(marks)
    if mean is None or steps_left is None:
        return None
    if len(paces) < 3:
        low, high = min(paces), max(paces)
    else:
        tenths = quantiles(paces, n=10, method="inclusive")
        low, high = tenths[0], tenths[-1]
    return Eta(steps_left * mean, steps_left * min(low, mean), steps_left * max(high, mean))


def mean_step_seconds(marks: Sequence[Mark]) -> float | None:
    """Over all of them; None before two that are far enough apart."""
    if not marks or _seconds(marks[0], marks[-1]) < LEAST_APART_SECONDS:
        return None
    return _seconds(marks[0], marks[-1]) / (marks[-1].step - marks[0].step)


def typical_step_seconds(marks: Sequence[Mark]) -> float | None:
    """The median of the stretches."""
    paces = seconds_per_step(marks)
    return median(paces) if paces else None
