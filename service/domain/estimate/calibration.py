"""The time prior, corrected by a team's own finished runs of the same family and flavor.

Ratios of measured to predicted minutes are taken as lognormal. The prior counts as `PRIOR_RUNS` runs that were right
on average, so one run moves the estimate by a quarter of its surprise and twenty have nearly all the say (shrinkage
by a normal-normal model: Gelman et al., Bayesian Data Analysis, 2.5).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log, sqrt

PRIOR_RUNS = 3
# The 90th percentile of the normal distribution.
Z90 = 1.2816


@dataclass(frozen=True)
class Observation:
    """One finished run: training minutes by the uncalibrated p50, the p90 that it was told, and what it took."""

    predicted_minutes: float
    promised_p90_minutes: float
    measured_minutes: float


@dataclass(frozen=True)
class Calibration:
    """`factor` on the predicted median; `spread` of the logarithm, None for the card's; `within_p90` is published."""

    runs: int = 0
    factor: float = 1.0
    mean_log_ratio: float = 0.0
    spread: float | None = None
    within_p90: float | None = None

    def spread_or(self, prior: float) -> float:
        """Standard deviation of the logarithm: the runs' own, with the prior's for as long as they are few."""
        if self.spread is None:
            return prior
        variance = (PRIOR_RUNS * prior**2 + self.runs * self.spread**2) / (PRIOR_RUNS + self.runs)
        return sqrt(variance * (1 + 1 / (PRIOR_RUNS + self.runs)))


def calibrate(observations: Sequence[Observation]) -> Calibration:
    """What finished runs teach; without any, the prior as it is. Runs that took or promised no time are left out."""
    usable = [one for one in observations if min(one.predicted_minutes, one.measured_minutes) > 0]
    if not usable:
        return Calibration()
    ratios = [log(one.measured_minutes / one.predicted_minutes) for one in usable]
    n = len(ratios)
    mean = sum(ratios) / n
    shrunk = n * mean / (n + PRIOR_RUNS)
    spread = sqrt(sum((ratio - shrunk) ** 2 for ratio in ratios) / n)
    within = sum(one.measured_minutes <= one.promised_p90_minutes for one in usable)
    return Calibration(n, exp(shrunk), mean, spread, within / n)
