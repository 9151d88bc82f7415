"""What a log says of a training gone wrong: a loss that is no number, one that runs away, steps that do not come."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from itertools import pairwise
from math import isfinite
from statistics import median

from service.domain.alarm.watched import Alarm, Watched, told
from service.domain.guards import Guard
from service.domain.losses import first_broken, peak_of_divergence
from service.domain.progress import Phase, Reader

# One broken loss may pass (a batch of nothing but padding); so many in a row do not, as the weights are NaN.
BROKEN_FOR_CERTAIN = 3
MAY_PASS = f"one such step may pass, {BROKEN_FOR_CERTAIN} logged in a row do not"
# Enough of a curve to tell that it does not come back from a warm-up's bump.
LOSSES_FOR_CERTAIN = 10
# A stall: this many times the usual time between two signs of a step, three times the longest, and never less than ten
# minutes: checkpoints are uploaded and evaluations run between steps, and not all of them draw a bar.
FEWEST_STEPS, STEPS_FOR_CERTAIN = 3, 6
TIMES_MEDIAN, TIMES_LONGEST = 10, 3
LEAST_SILENCE = timedelta(minutes=10)


def nan(watched: Watched, _now: datetime) -> Alarm | None:
    """The loss is NaN or infinite, and has not come back."""
    trend, place = watched.reader.trend, first_broken(watched.reader.trend.losses)
    rows, step = trend.broken_in_a_row, trend.broken_step
    if rows == 0 and place is not None and trend.losses[place] == 0:  # zeros that a filter left
        rows, step = (len(trend.losses) - place) * trend.stride, trend.steps[place]
    if rows == 0:
        return None
    is_certain = rows >= BROKEN_FOR_CERTAIN
    since = "" if step is None else f" since step {step:,}"
    last = "the last logged loss" if rows == 1 else f"each of the last {rows} logged losses"
    return Alarm(
        Guard.NAN,
        f"The loss is not a number{since}: {'what follows trains nothing' if is_certain else MAY_PASS}.",
        f"NaN, infinite, or 0 in place of it{since}, in {last}",
        "Lower the learning rate, train in bfloat16 instead of float16, and look for rows without a label.",
        is_certain,
        {"step": step},
    )


def divergence(watched: Watched, _now: datetime) -> Alarm | None:
    """The loss runs away."""
    trend = watched.reader.trend
    if trend.broken_in_a_row or (peak := peak_of_divergence(trend.losses)) is None:
        return None
    finite = [loss for loss in trend.losses if isfinite(loss)]
    step = _step_at(watched, peak)
    at = "" if step is None else f" at step {step:,}"
    return Alarm(
        Guard.DIVERGENCE,
        f"The loss runs away: it began at {finite[0]:.4g}, its best was {min(finite):.4g}, and it was "
        f"{trend.losses[peak]:.4g}{at}.",
        f"loss {trend.losses[peak]:.4g}{at}, after {min(finite):.4g}",
        "Lower the learning rate, warm up for longer, or clip the gradient (max_grad_norm).",
        len(finite) >= LOSSES_FOR_CERTAIN,
        {"step": step, "loss": trend.losses[peak], "best_loss": min(finite)},
    )


def stall(watched: Watched, now: datetime) -> Alarm | None:
    """Steps came, and nothing that moves has been seen for far too long."""
    reader = watched.reader
    progress, gaps = reader.progress, _gaps(reader)
    is_training = progress.phase == Phase.TRAIN and (progress.step or 0) < (progress.total_steps or math.inf)
    seen = reader.marks[-1].step - reader.marks[0].step if gaps else 0
    if not is_training or seen < FEWEST_STEPS or reader.active_at is None:
        return None
    silence = (now - reader.active_at).total_seconds()
    usual, longest = median(gaps), max(gaps)
    if silence < max(LEAST_SILENCE.total_seconds(), TIMES_MEDIAN * usual, TIMES_LONGEST * longest):
        return None
    return Alarm(
        Guard.STALL,
        f"No sign of a step for {told(silence)}, where {told(usual)} is usual: step {progress.step:,} was the last.",
        f"step {progress.step} at {reader.active_at:%Y-%m-%dT%H:%M:%SZ}, and no bar or number since",
        "Its log's end says what it was at: a process of a launcher that died, a download or an upload that hangs.",
        seen >= STEPS_FOR_CERTAIN,
        {"silence_seconds": round(silence), "usual_seconds": round(usual, 1), "step": progress.step},
    )


def _gaps(reader: Reader) -> list[float]:
    return [(later.at - earlier.at).total_seconds() for earlier, later in pairwise(reader.marks)]


def _step_at(watched: Watched, place: int | None) -> int | None:
    return None if place is None else watched.reader.trend.steps[place]
