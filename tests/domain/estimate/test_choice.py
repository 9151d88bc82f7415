"""The flavor that `auto` takes is one that would be accepted if a person had named it: it keeps timeout and cap."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.admission import cap_refusal, effective_timeout
from service.domain.estimate.bounds import Bounds, PilotBound
from service.domain.estimate.choice import Goal, choose
from service.domain.estimate.estimate import Estimate, estimate
from service.domain.money import ceiling
from tests.domain.estimate.hardware import FLAVORS, LORA, SMOLLM3

FOUND = estimate(SMOLLM3, LORA, FLAVORS)
PILOT = PilotBound(600)


def price(name: str) -> int:
    found = FOUND.of(name)
    assert found is not None
    assert found.flavor.price_per_minute_micro_usd is not None
    return found.flavor.price_per_minute_micro_usd


def p50_seconds(name: str, found: Estimate = FOUND) -> float:
    one = found.of(name)
    assert one is not None
    assert one.minutes is not None
    return 60 * one.minutes.told_p50


bounds = st.builds(
    Bounds,
    timeout_seconds=st.none() | st.integers(60, 20_000),
    cap_micro_usd=st.none() | st.integers(10_000, 8_000_000),
    pilot=st.none() | st.just(PILOT) | st.builds(PilotBound, st.just(600), st.sampled_from(["t4-small", "h200"])),
    may_be_short=st.booleans(),
)


@given(bounds, st.sampled_from(["cheapest", "fastest"]))
def test_what_is_taken_is_not_refused_at_once(asked: Bounds, goal: Goal) -> None:
    choice = choose(FOUND, goal, asked)
    usable = [one.flavor.name for one in FOUND.flavors if one.is_usable and one.minutes is not None]
    if choice.flavor is None:
        assert all(name in choice.reason for name in usable), "each is named with why it falls out"
        return
    name, left = choice.flavor, asked.cap_micro_usd
    if left is not None and asked.pilot is not None:
        left -= ceiling(price(asked.pilot.flavor or name), min(600, asked.timeout_seconds or 600))
    assert cap_refusal(asked.timeout_seconds, left, price(name)) is None
    if not asked.may_be_short and (asked.timeout_seconds is not None or left is not None):
        assert p50_seconds(name) <= effective_timeout(asked.timeout_seconds, left, price(name))


@given(bounds, st.sampled_from(["cheapest", "fastest"]))
def test_what_comes_closest_would_do_with_the_least_that_is_said(asked: Bounds, goal: Goal) -> None:
    reason = choose(FOUND, goal, asked).reason
    if "comes closest" not in reason:
        return
    least = reason.partition("would do with ")[2].partition(" at the least.")[0]
    would = dict(one.split(" ", 1) for one in least.split(" and "))
    enough = asked
    if "timeout" in would:
        enough = replace(enough, timeout_seconds=60 * int(would["timeout"].removesuffix("m")))
    if "max_cost_usd" in would:
        enough = replace(enough, cap_micro_usd=round(float(would["max_cost_usd"]) * 10**6))
    assert choose(FOUND, goal, enough).flavor is not None
    if "timeout" in would:
        assert enough.timeout_seconds is not None
        assert choose(FOUND, goal, replace(enough, timeout_seconds=enough.timeout_seconds - 60)).flavor is None
    if "max_cost_usd" in would:
        assert enough.cap_micro_usd is not None
        assert choose(FOUND, goal, replace(enough, cap_micro_usd=enough.cap_micro_usd - 1)).flavor is None


def test_a_short_timeout_takes_a_faster_flavor() -> None:
    cheapest = choose(FOUND).flavor
    assert cheapest is not None
    short = Bounds(timeout_seconds=int(p50_seconds(cheapest)) - 1)
    faster = choose(FOUND, bounds=short).flavor
    assert faster is not None
    assert p50_seconds(faster) <= short.timeout_seconds < p50_seconds(cheapest)  # type: ignore[operator]
    none = choose(FOUND, bounds=Bounds(timeout_seconds=240))
    assert none.flavor is None
    assert "too slow: " in none.reason
    assert "and would do with timeout" in none.reason
    assert choose(FOUND, bounds=Bounds(timeout_seconds=240, may_be_short=True)).flavor == cheapest


def test_the_fastest_within_a_cap_is_one_whose_ceiling_is_within_it() -> None:
    """The longest that the job may run is what is reserved, whatever it is expected to take."""
    assert choose(FOUND, "fastest").flavor == "h200"
    cap = ceiling(price("h200"), 7200) - 1
    taken = choose(FOUND, "fastest", Bounds(7200, cap)).flavor
    assert taken is not None
    assert ceiling(price(taken), 7200) <= cap


def test_the_pilot_is_paid_out_of_the_same_cap() -> None:
    cap = ceiling(price("l4x1"), 7200)
    assert choose(FOUND, bounds=Bounds(7200, cap)).flavor == "l4x1"
    refused = choose(FOUND, bounds=Bounds(7200, cap, PilotBound(600, "l4x1")))
    assert refused.flavor is None
    assert "together with its pilot" in refused.reason
    assert choose(FOUND, bounds=Bounds(7200, cap, PilotBound(600, "l4x1", spent=0))).flavor == "l4x1"


@pytest.mark.parametrize("goal", ["cheapest", "fastest"])
def test_without_bounds_nothing_falls_out(goal: Goal) -> None:
    assert choose(FOUND, goal).flavor is not None
