"""May this run start now, and if not, why."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.admission import Admit, Candidate, Reject, Situation, Wait, decide
from service.domain.budget import Balance
from service.domain.run import Reason

NOW = datetime(2026, 11, 24, tzinfo=UTC)
RUN = Candidate("a10g-large", 7200, None, "acme/model", None)
OPEN = Situation(
    now=NOW,
    price_per_minute=25_000,
    budget=Balance(limit=5_000_000, reserved=0, charged=0),
    active_runs=0,
    max_active_runs=20,
    team_active_runs=0,
    team_max_active_runs=None,
    output_in_use_by=None,
)


def test_an_open_gate_reserves_the_ceiling() -> None:
    assert decide(RUN, OPEN) == Admit(25_000, 7200, 3_025_000)


@pytest.mark.parametrize(
    ("change", "reason", "says"),
    [
        ({"price_per_minute": None}, Reason.PRICE_UNKNOWN, "a10g-large"),
        ({"budget": None}, Reason.WAITING_FOR_BUDGET, "no budget"),
        ({"budget": Balance(5_000_000, 2_000_000, 0)}, Reason.WAITING_FOR_BUDGET, "$0.025 is missing"),
        ({"budget": Balance(5_000_000, 0, 2_000_000)}, Reason.WAITING_FOR_BUDGET, "$0.025 is missing"),
        ({"active_runs": 20}, Reason.WAITING_FOR_SLOT, "20 of 20"),
        ({"team_active_runs": 1, "team_max_active_runs": 1}, Reason.WAITING_FOR_SLOT, "1 of the team's 1"),
        ({"output_in_use_by": "run_2"}, Reason.WAITING_FOR_OUTPUT, "run_2"),
    ],
)
def test_a_closed_gate_says_which_and_with_what_numbers(change: dict[str, object], reason: Reason, says: str) -> None:
    decision = decide(RUN, replace(OPEN, **change))  # type: ignore[arg-type]
    assert isinstance(decision, Wait)
    assert decision.reason is reason
    assert says in decision.message


def test_a_run_that_backs_off_waits_for_its_time() -> None:
    later = replace(RUN, not_before=NOW + timedelta(seconds=1))
    assert isinstance(decide(later, OPEN), Wait)
    assert isinstance(decide(later, replace(OPEN, now=NOW + timedelta(seconds=1))), Admit)


def test_a_price_that_rose_above_the_callers_cap_ends_the_wait() -> None:
    capped = replace(RUN, max_cost_micro_usd=3_050_000)
    assert isinstance(decide(capped, OPEN), Admit)
    assert isinstance(decide(capped, replace(OPEN, price_per_minute=26_000)), Reject)


@given(
    limit=st.integers(0, 10**9),
    reserved=st.integers(0, 10**9),
    charged=st.integers(0, 10**9),
    price=st.integers(1, 10**6),
    timeout=st.one_of(st.none(), st.integers(60, 10**5)),
    cap=st.integers(0, 10**9),
)
def test_no_admission_goes_over_the_budget_or_the_runs_own_cap(
    limit: int, reserved: int, charged: int, price: int, timeout: int | None, cap: int
) -> None:
    run = replace(RUN, timeout_seconds=timeout, max_cost_micro_usd=cap)
    decision = decide(run, replace(OPEN, price_per_minute=price, budget=Balance(limit, reserved, charged)))
    if isinstance(decision, Admit):
        assert reserved + charged + decision.reserve <= limit
        assert decision.reserve <= cap
        assert decision.timeout_seconds >= 60
