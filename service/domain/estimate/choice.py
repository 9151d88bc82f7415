"""Which flavor `auto` takes, with the reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from service.domain.estimate.estimate import Estimate, FlavorEstimate
from service.domain.estimate.verdict import Verdict
from service.domain.money import dollars


@dataclass(frozen=True)
class Choice:
    """A flavor's name, None where none is right, and why in a sentence."""

    flavor: str | None
    reason: str


def choose(
    estimate: Estimate, goal: Literal["cheapest", "fastest"] = "cheapest", max_cost_micro_usd: int | None = None
) -> Choice:
    """The cheapest flavor that fits by its p50 cost, or the fastest; with a cap, only those whose p90 is within it."""
    if estimate.memory is None:
        return Choice(None, f"No flavor can be chosen: {'; '.join(estimate.warnings)}.")
    fitting = [one for one in estimate.flavors if one.is_usable]
    if not fitting:
        return Choice(None, "No flavor fits this training.")
    timed = [one for one in fitting if one.minutes is not None and one.cost is not None]
    if not timed:
        return _by_price(fitting, max_cost_micro_usd)
    within = [one for one in timed if max_cost_micro_usd is None or _cost(one, "p90") <= max_cost_micro_usd]
    if not within:
        least = min(timed, key=lambda one: _cost(one, "p90"))
        assert max_cost_micro_usd is not None
        return Choice(
            None,
            f"No flavor that fits stays within {dollars(max_cost_micro_usd)}: {least.flavor.name} comes closest "
            f"with a p90 of {dollars(_cost(least, 'p90'))}.",
        )
    # what is only tight is taken where nothing else is within the cap
    sure = [one for one in within if one.verdict is Verdict.FITS] or within
    fastest = goal == "fastest"
    best = min(
        sure, key=lambda one: (_minutes(one), _cost(one, "p50")) if fastest else (_cost(one, "p50"), _minutes(one))
    )
    return Choice(best.flavor.name, _reason(best, goal, len(sure)))


def _reason(best: FlavorEstimate, goal: str, others: int) -> str:
    tight = ", though only just" if best.verdict is Verdict.TIGHT else ""
    return (
        f"{best.flavor.name} is the {goal} of {others} flavors that fit{tight}: about {_minutes(best):.0f} minutes and "
        f"{dollars(_cost(best, 'p50'))}."
    )


def _by_price(fitting: list[FlavorEstimate], max_cost_micro_usd: int | None) -> Choice:
    """Without minutes there is no cost to compare: the lowest price per minute stands in for it, and no cap is kept."""
    priced = [one for one in fitting if one.flavor.price_per_minute_micro_usd is not None]
    if max_cost_micro_usd is not None or not priced:
        return Choice(None, "No flavor can be chosen, as the time of this training or all prices are unknown.")
    best = min(priced, key=lambda one: (one.verdict is Verdict.TIGHT, one.flavor.price_per_minute_micro_usd))
    return Choice(
        best.flavor.name,
        f"{best.flavor.name} has the lowest price of {len(priced)} flavors that fit; the time is not known.",
    )


def _cost(one: FlavorEstimate, which: Literal["p50", "p90"]) -> int:
    assert one.cost is not None
    return one.cost.p50 if which == "p50" else one.cost.p90


def _minutes(one: FlavorEstimate) -> float:
    assert one.minutes is not None
    return one.minutes.p50
