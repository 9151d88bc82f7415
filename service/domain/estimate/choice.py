"""Which flavor `auto` takes, with the reason: one that keeps the caller's timeout and cap, or none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Literal

from service.domain.duration import MAX_SECONDS
from service.domain.estimate.bounds import Bounds, price, seconds
from service.domain.estimate.estimate import Estimate, FlavorEstimate
from service.domain.estimate.verdict import Verdict
from service.domain.money import dollars

Goal = Literal["cheapest", "fastest"]
FREE = Bounds()


@dataclass(frozen=True)
class Choice:
    """A flavor's name, None where none is right, and why in a sentence; `enough`: what would have to be given, where
    that would do."""

    flavor: str | None
    reason: str
    enough: str = ""


def choose(estimate: Estimate, goal: Goal = "cheapest", bounds: Bounds = FREE) -> Choice:
    """The cheapest flavor that fits by its p50 cost, or the fastest, of those that keep the bounds. Where none does,
    the reason says why each falls out and what the closest would need."""
    if estimate.memory is None:
        return Choice(None, f"No flavor can be chosen: {'; '.join(estimate.warnings)}.")
    fitting = [one for one in estimate.flavors if one.is_usable]
    if not fitting:
        for one in estimate.flavors:
            if one.verdict is Verdict.NOT_COVERED:
                return Choice(None, f"No flavor can be chosen. {one.message}")
        return Choice(None, "No flavor fits this training.")
    timed = [one for one in fitting if one.minutes is not None and one.cost is not None]
    if not timed:
        return _by_price(estimate, fitting, bounds)
    slow = [one for one in timed if bounds.is_slow(one)]
    dear = [one for one in timed if one not in slow and bounds.is_dear(estimate, one)]
    within = [one for one in timed if one not in slow and one not in dear]
    if not within:
        return _none(estimate, slow, dear, bounds)
    # what is only tight is taken where nothing else keeps the bounds
    sure = [one for one in within if one.verdict is Verdict.FITS] or within
    fastest = goal == "fastest"
    best = min(sure, key=lambda one: (seconds(one), _p50(one)) if fastest else (_p50(one), seconds(one)))
    return Choice(best.flavor.name, _reason(best, goal, len(sure)))


def _reason(best: FlavorEstimate, goal: str, others: int) -> str:
    tight = ", though only just" if best.verdict is Verdict.TIGHT else ""
    return (
        f"{best.flavor.name} is the {goal} of {others} flavors that fit{tight}: "
        f"about {seconds(best) / 60:.0f} minutes and {dollars(_p50(best))}."
    )


def _by_price(estimate: Estimate, fitting: list[FlavorEstimate], bounds: Bounds) -> Choice:
    """Without minutes there is no cost to compare: the lowest price per minute stands in for it. A cap is kept where
    the timeout says what can be spent."""
    priced = [one for one in fitting if one.flavor.price_per_minute_micro_usd is not None]
    if not priced or (bounds.cap_micro_usd is not None and bounds.timeout_seconds is None):
        return Choice(None, "No flavor can be chosen, as the time of this training or all prices are unknown.")
    kept = [one for one in priced if not bounds.is_dear(estimate, one)]
    if not kept:
        return _none(estimate, (), priced, bounds)
    best = min(kept, key=lambda one: (one.verdict is Verdict.TIGHT, price(one)))
    return Choice(
        best.flavor.name,
        f"{best.flavor.name} has the lowest price of {len(kept)} flavors that fit; the time is not known.",
    )


def _none(estimate: Estimate, slow: Sequence[FlavorEstimate], dear: Sequence[FlavorEstimate], bounds: Bounds) -> Choice:
    kept, why = [], []
    if bounds.timeout_seconds is not None:
        kept.append(f"a timeout of {bounds.timeout_seconds // 60} min")
    if bounds.cap_micro_usd is not None:
        kept.append(f"{dollars(bounds.cap_micro_usd)}{' together with its pilot' if bounds.pilot else ''}")
    if slow:
        why.append(f"too slow: {_named(slow, lambda one: f'about {ceil(seconds(one) / 60)} min')}")
    if dear:
        why.append(f"too dear: {_named(dear, lambda one: dollars(bounds.need(estimate, one)))}")
    closest = min([*dear, *slow], key=lambda one: _distance(estimate, one, bounds))
    enough, better = _would(estimate, closest, bounds)
    return Choice(
        None,
        f"No flavor that fits stays within {' and '.join(kept)} ({'; '.join(why)}): {closest.flavor.name} comes "
        f"closest, and would do with {f'{enough} at the least' if enough else 'fewer steps'}.{better}",
        enough,
    )


def _distance(estimate: Estimate, one: FlavorEstimate, bounds: Bounds) -> tuple[int, int, int]:
    """How far a flavor is from keeping the bounds: by money beyond the cap, then by the time that it takes."""
    need, cap = bounds.need(estimate, one), bounds.cap_micro_usd
    return 0 if cap is None else max(0, need - cap), bounds.least_timeout(one), need


def _would(estimate: Estimate, closest: FlavorEstimate, bounds: Bounds) -> tuple[str, str]:
    """The least that would have to be given for a flavor to do, and a sentence with the timeout that is better given;
    nothing where no timeout is long enough."""
    timeout, need = bounds.least_timeout(closest), bounds.need(estimate, closest)
    if timeout > MAX_SECONDS:
        return "", ""
    is_slow = bounds.is_slow(closest)
    more = bounds.cap_micro_usd is not None and need > bounds.cap_micro_usd
    least = [
        *([f"timeout {timeout // 60}m"] if is_slow else []),
        *([f"max_cost_usd {dollars(need)[1:]}"] if more else []),
    ]
    wanted = closest.timeout_seconds
    if not is_slow or wanted is None or wanted > MAX_SECONDS:
        return " and ".join(least), ""
    most = dollars(replace(bounds, timeout_seconds=wanted).need(estimate, closest))
    return " and ".join(least), f" Recommended is timeout {wanted // 60}m, with which it can cost {most}."


def _named(found: Sequence[FlavorEstimate], about: Callable[[FlavorEstimate], str]) -> str:
    """The flavors with what is said about each, cheapest first."""
    return ", ".join(f"{one.flavor.name} ({about(one)})" for one in found)


def _p50(one: FlavorEstimate) -> int:
    assert one.cost is not None
    return one.cost.p50
