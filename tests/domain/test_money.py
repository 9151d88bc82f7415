"""Hugging Face's minute rule, ceilings and caps."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.money import ceiling, dollars, minutes, timeout_for_cap, to_micro_usd, to_usd


@pytest.mark.parametrize(
    ("running_ms", "billed"), [(0, 1), (1, 1), (59_999, 1), (60_000, 1), (60_001, 2), (78_213, 2), (3_600_000, 60)]
)
def test_each_started_minute_is_billed(running_ms: int, billed: int) -> None:
    assert minutes(running_ms) == billed


def test_the_tutorial_run_reserves_what_two_hours_and_the_kill_can_cost() -> None:
    assert ceiling(25_000, 7200) == 3_025_000
    assert ceiling(25_000, 7201) == 3_050_000  # a started minute


@given(price=st.integers(1, 1_000_000), cap=st.integers(0, 10**12))
def test_the_timeout_of_a_cap_is_the_longest_that_fits(price: int, cap: int) -> None:
    timeout = timeout_for_cap(price, cap)
    assert timeout % 60 == 0
    if timeout > 0:
        assert ceiling(price, timeout) <= cap < ceiling(price, timeout + 60)
    else:
        assert cap < ceiling(price, 60)


@given(price=st.integers(0, 10**6), timeout=st.integers(60, 10**6), late_ms=st.integers(0, 59_999))
def test_a_job_killed_within_a_minute_of_its_timeout_stays_below_its_ceiling(
    price: int, timeout: int, late_ms: int
) -> None:
    assert minutes(timeout * 1000 + late_ms) * price <= ceiling(price, timeout)


@given(micro=st.integers(0, 10**15))
def test_dollars_on_the_wire_come_back_exactly(micro: int) -> None:
    assert to_micro_usd(Decimal(str(round(to_usd(micro), 6)))) == micro


def test_finer_than_a_micro_dollar_is_refused() -> None:
    with pytest.raises(ValueError, match="six digits"):
        to_micro_usd(Decimal("0.0000001"))


@pytest.mark.parametrize(
    ("micro", "text"), [(0, "$0.00"), (167, "$0.000167"), (3_025_000, "$3.025"), (5_000_000, "$5.00")]
)
def test_amounts_for_people(micro: int, text: str) -> None:
    assert dollars(micro) == text
