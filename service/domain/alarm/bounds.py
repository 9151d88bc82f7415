"""What a training's pace says of its bounds: its timeout, and what the estimate said that it would cost."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

from service.domain import money
from service.domain.alarm.watched import Alarm, Watched, told
from service.domain.guards import Guard
from service.domain.progress import Phase
from service.domain.progress.pace import mean_step_seconds, seconds_per_step

# The first steps compile and fill caches: a pace before this many stretches, over this long, says little.
STRETCHES, STRETCHES_FOR_CERTAIN = 3, 8
LEAST_WATCHED = timedelta(minutes=2)
# A timeout for another try: what it comes to and a fifth more, in whole five minutes.
MARGIN, ROUNDED_TO_SECONDS = 1.2, 300


def timeout(watched: Watched, now: datetime) -> Alarm | None:
    """At its pace it does not end before it is ended; with what both choices cost."""
    if (pace := _pace(watched, now)) is None:
        return None
    elapsed, left, low = pace
    remaining = watched.timeout_seconds - elapsed
    if left <= remaining:
        return None
    progress, total = watched.reader.progress, elapsed + left
    again = math.ceil(MARGIN * total / ROUNDED_TO_SECONDS) * ROUNDED_TO_SECONDS
    spent, anew = watched.cost_after(elapsed), watched.cost_after(total)
    let_run = money.ceiling(watched.price_per_minute_micro_usd, watched.timeout_seconds)  # the kill takes a moment
    reached = _reached(watched, remaining)
    return Alarm(
        Guard.TIMEOUT,
        f"At its pace it will not end before its timeout: about {told(left)} of work are left, and {told(remaining)} "
        f"to run. Let run, it is ended at about step {reached:,} of {progress.total_steps:,}, for "
        f"{money.dollars(let_run)} in all. Stopped now, it has cost {money.dollars(spent)}; a whole run costs about "
        f"{money.dollars(anew)}.",
        f"step {progress.step} of {progress.total_steps} after {told(elapsed)} of {told(watched.timeout_seconds)}",
        f"Submit it with a timeout of {again // 60}m, or with fewer steps: that of a running job cannot be changed.",
        low > remaining and len(seconds_per_step(watched.reader.marks)) >= STRETCHES_FOR_CERTAIN,
        {
            "left_seconds": round(left),
            "remaining_seconds": round(remaining),
            "reached_step": reached,
            "spent_usd": money.to_usd(spent),
            "let_run_usd": money.to_usd(let_run),
            "again_timeout_seconds": again,
            "again_usd": money.to_usd(anew),
        },
    )


def cost(watched: Watched, now: datetime) -> Alarm | None:
    """It comes to more than nine of ten such runs were expected to cost."""
    if watched.p90_micro_usd is None:
        return None
    elapsed = (now - watched.started_at).total_seconds()
    spent, pace = watched.cost_after(elapsed), _pace(watched, now)
    left, low = (0.0, 0.0) if pace is None else pace[1:]
    # no more than until it is ended at its timeout
    expected, least = (watched.cost_after(min(elapsed + one, watched.timeout_seconds)) for one in (left, low))
    if expected <= watched.p90_micro_usd:
        return None
    p90 = money.about(watched.p90_micro_usd)
    return Alarm(
        Guard.COST,
        f"It has cost {money.dollars(spent)} so far and comes to about {money.about(expected)}: more than the {p90} "
        "that nine of ten such runs were expected to stay within.",
        f"{money.about(expected)} at its pace, p90 {p90}",
        "A pilot measures the pace beforehand; fewer steps or another flavor may be worth more. Its ceiling holds.",
        least > watched.p90_micro_usd,
        {
            "spent_usd": money.to_usd(spent),
            "expected_usd": money.to_usd(expected),
            "p90_usd": money.to_usd(watched.p90_micro_usd),
        },
    )


def _pace(watched: Watched, now: datetime) -> tuple[float, float, float] | None:
    """Seconds since the start, and from now until the last step at the mean pace and at the fast one. None before
    the pace says anything."""
    reader, progress = watched.reader, watched.reader.progress
    marks, low, mean = reader.marks, progress.eta_low_seconds, progress.eta_seconds
    is_training = progress.phase == Phase.TRAIN and progress.total_steps is not None and progress.step is not None
    if not is_training or low is None or mean is None or len(seconds_per_step(marks)) < STRETCHES:
        return None
    if marks[-1].at - marks[0].at < LEAST_WATCHED:
        return None
    # The ETA is as of the last mark: what has passed since is done, as far as it goes.
    since = min((now - marks[-1].at).total_seconds(), mean)
    elapsed = (now - watched.started_at).total_seconds()
    return elapsed, max(0.0, mean - since), max(0.0, low - since)


def _reached(watched: Watched, remaining: float) -> int:
    progress, seconds = watched.reader.progress, mean_step_seconds(watched.reader.marks)
    assert seconds is not None  # as there is a pace
    assert progress.step is not None
    assert progress.total_steps is not None
    return min(progress.total_steps, progress.step + int(max(0.0, remaining) / seconds))
