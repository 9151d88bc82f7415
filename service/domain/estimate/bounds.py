"""What a caller set bounds to, the time of a job and the dollars of a run, against the estimate for a flavor."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from service.domain.admission import cap_refusal, effective_timeout
from service.domain.estimate.estimate import Estimate, FlavorEstimate
from service.domain.money import MIN_CAPPED_TIMEOUT_SECONDS, ceiling


@dataclass(frozen=True)
class PilotBound:
    """What a pilot that goes first takes of the cap: `spent` micro-USD where that is known, else its timeout's ceiling
    on its own flavor; with no flavor, on the one that is looked at. No pilot is longer than its run."""

    timeout_seconds: int
    flavor: str | None = None
    spent: int | None = None


@dataclass(frozen=True)
class Bounds:
    """What a flavor has to keep. Without a timeout it is as long as the cap pays for, as admission works it out.
    `may_be_short`: the time is not held against the p50."""

    timeout_seconds: int | None = None
    cap_micro_usd: int | None = None
    pilot: PilotBound | None = None
    may_be_short: bool = False

    def is_slow(self, one: FlavorEstimate) -> bool:
        """Whether half of such trainings would not end in the caller's timeout. What has no time is not slow."""
        return not self.may_be_short and self.timeout_seconds is not None and seconds(one) > self.timeout_seconds

    def is_dear(self, estimate: Estimate, one: FlavorEstimate) -> bool:
        """Whether the cap would refuse the run there, or end it before half of such trainings are through, or be less
        than its p90. The flavor's price is known."""
        if self.cap_micro_usd is None:
            return False
        left = self.cap_micro_usd - self._pilot(estimate, one)
        if cap_refusal(self.timeout_seconds, left, price(one)) is not None:
            return True
        if self.timeout_seconds is not None:
            return False  # nothing runs longer, so nothing costs more
        if one.cost is not None and one.cost.p90 > left:
            return True
        return not self.may_be_short and seconds(one) > effective_timeout(None, left, price(one))

    def least_timeout(self, one: FlavorEstimate) -> int:
        """Seconds of a timeout that is not too short there: the caller's, or the whole minutes from the p50 on."""
        least = 60 * ceil(seconds(one) / 60)
        if self.timeout_seconds is None:
            return max(MIN_CAPPED_TIMEOUT_SECONDS, 0 if self.may_be_short else least)
        return least if self.is_slow(one) else self.timeout_seconds

    def need(self, estimate: Estimate, one: FlavorEstimate) -> int:
        """Micro-USD of the least cap that is not too dear there, with `least_timeout`."""
        need = ceiling(price(one), self.least_timeout(one))
        if self.timeout_seconds is None and one.cost is not None:
            need = max(need, one.cost.p90)
        return need + self._pilot(estimate, one)

    def _pilot(self, estimate: Estimate, one: FlavorEstimate) -> int:
        """Micro-USD that the pilot takes of the cap."""
        if self.pilot is None:
            return 0
        if self.pilot.spent is not None:
            return self.pilot.spent
        where = one if self.pilot.flavor is None else estimate.of(self.pilot.flavor) or one
        found = where.flavor.price_per_minute_micro_usd
        if found is None:
            return 0
        most = self.pilot.timeout_seconds
        return ceiling(found, most if self.timeout_seconds is None else min(most, self.least_timeout(one)))


def price(one: FlavorEstimate) -> int:
    """Micro-USD per minute, of a flavor that has a price."""
    assert one.flavor.price_per_minute_micro_usd is not None
    return one.flavor.price_per_minute_micro_usd


def seconds(one: FlavorEstimate) -> float:
    """The p50 in seconds, as it is told and stored on a run, whose timeout is held against it; 0 where it is not
    known."""
    return 0.0 if one.minutes is None else one.minutes.told_p50 * 60
