"""Whether a queued run may start now, and if not, why: pure rules over values read in the admitting transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from service.domain.budget import Balance
from service.domain.duration import MAX_SECONDS
from service.domain.money import MIN_CAPPED_TIMEOUT_SECONDS, ceiling, dollars, timeout_for_cap
from service.domain.run import Reason


@dataclass(frozen=True)
class Candidate:
    """A queued run as the rules see it: `max_cost_micro_usd` is what is left of its own cap; `timeout_seconds` None:
    it follows from that and the price."""

    flavor: str
    timeout_seconds: int | None
    max_cost_micro_usd: int | None
    output_repo: str | None
    not_before: datetime | None


@dataclass(frozen=True)
class Situation:
    """What the admitting transaction read. Money in micro-dollars; `None` limits mean no limit."""

    now: datetime
    price_per_minute: int | None
    budget: Balance | None
    active_runs: int
    max_active_runs: int
    team_active_runs: int
    team_max_active_runs: int | None
    output_in_use_by: str | None


@dataclass(frozen=True)
class Admit:
    """Start it, with this much reserved."""

    price_per_minute: int
    timeout_seconds: int
    reserve: int


@dataclass(frozen=True)
class Wait:
    """Not now. `holds_team`: later runs of the team must not pass it, or it would wait for ever."""

    reason: Reason
    message: str
    holds_team: bool = False


@dataclass(frozen=True)
class Reject:
    """Never: waiting does not help, as the price has risen above what the caller allowed."""

    reason: Reason
    message: str


def decide(run: Candidate, seen: Situation) -> Admit | Wait | Reject:
    """Answer for one run; the first rule that it does not pass gives the reason."""
    if run.not_before is not None and run.not_before > seen.now:
        return Wait(Reason.BACKING_OFF, f"next try at {run.not_before:%Y-%m-%d %H:%M:%S} UTC")
    if seen.output_in_use_by is not None:
        return Wait(
            Reason.WAITING_FOR_OUTPUT, f"{run.output_repo} is being written by {seen.output_in_use_by}; it goes first"
        )
    if seen.price_per_minute is None:
        return Wait(Reason.PRICE_UNKNOWN, f"the price of {run.flavor} could not be read from Hugging Face within a day")
    timeout = effective_timeout(run.timeout_seconds, run.max_cost_micro_usd, seen.price_per_minute)
    need = ceiling(seen.price_per_minute, timeout)
    if (refusal := cap_refusal(run.timeout_seconds, run.max_cost_micro_usd, seen.price_per_minute)) is not None:
        return Reject(Reason.EXCEEDS_LIMIT, refusal)
    if seen.active_runs >= seen.max_active_runs:
        return Wait(
            Reason.WAITING_FOR_SLOT,
            f"{seen.active_runs} of {seen.max_active_runs} runs of this service are active",
            holds_team=True,
        )
    if seen.team_max_active_runs is not None and seen.team_active_runs >= seen.team_max_active_runs:
        return Wait(
            Reason.WAITING_FOR_SLOT,
            f"{seen.team_active_runs} of the team's {seen.team_max_active_runs} runs are active",
            holds_team=True,
        )
    if seen.budget is None:
        return Wait(
            Reason.WAITING_FOR_BUDGET,
            f"needs {dollars(need)}, and the team has no budget yet: an admin grants one",
            holds_team=True,
        )
    if need > seen.budget.remaining:
        # One that the whole limit could not hold waits for a larger limit, and holds nobody up meanwhile.
        return Wait(Reason.WAITING_FOR_BUDGET, _shortage(need, seen.budget), holds_team=need <= seen.budget.limit)
    return Admit(seen.price_per_minute, timeout, need)


def effective_timeout(timeout_seconds: int | None, cap_micro_usd: int | None, price_per_minute: int) -> int:
    """The timeout HF is sent: the caller's, or the longest whose ceiling fits the cap. One of the two is given."""
    if timeout_seconds is not None:
        return timeout_seconds
    assert cap_micro_usd is not None, "a run has a timeout or a cost cap"
    if price_per_minute <= 0:
        return MAX_SECONDS
    return min(timeout_for_cap(price_per_minute, cap_micro_usd), MAX_SECONDS)


def cap_refusal(timeout_seconds: int | None, cap_micro_usd: int | None, price_per_minute: int) -> str | None:
    """Why a run cannot be held under its own cap at this price, or None where it can."""
    if cap_micro_usd is None:
        return None
    timeout = effective_timeout(timeout_seconds, cap_micro_usd, price_per_minute)
    if timeout_seconds is None and timeout < MIN_CAPPED_TIMEOUT_SECONDS:
        least = ceiling(price_per_minute, MIN_CAPPED_TIMEOUT_SECONDS)
        return (
            f"max_cost_usd {dollars(cap_micro_usd)} buys less than {MIN_CAPPED_TIMEOUT_SECONDS // 60} minutes at "
            f"{dollars(price_per_minute)} a minute; {dollars(least)} is the least"
        )
    if (most := ceiling(price_per_minute, timeout)) > cap_micro_usd:
        return (
            f"a timeout of {timeout} s can cost {dollars(most)} at {dollars(price_per_minute)} a minute, "
            f"more than max_cost_usd {dollars(cap_micro_usd)}"
        )
    return None


def _shortage(need: int, budget: Balance) -> str:
    missing = need - budget.remaining
    return (
        f"needs {dollars(need)}, {dollars(max(0, budget.remaining))} of {dollars(budget.limit)} is free this month "
        f"({dollars(budget.reserved)} reserved, {dollars(budget.charged)} spent): {dollars(missing)} is missing"
    )
