"""What money was spent for, and how it is added up."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.errors import Invalid
from service.domain.run import Reason, RunState
from service.domain.usage import OPEN, Spending, dimensions, grouped, outcome, total, waste

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
RUNNING, SUCCEEDED, FAILED, CANCELLED = RunState.RUNNING, RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED


@pytest.mark.parametrize(
    ("state", "is_last", "cause", "came_to"),
    [
        (SUCCEEDED, True, None, "useful"),
        (SUCCEEDED, False, "cuda_oom", "failed:cuda_oom"),
        (SUCCEEDED, False, "job_timeout", "timed_out"),
        (SUCCEEDED, False, None, "failed:no_capacity"),
        (FAILED, True, "script_error", "failed:script_error"),
        (FAILED, True, "job_timeout", "timed_out"),
        (FAILED, True, "output_missing", "output_missing"),
        (FAILED, True, "push_failed", "output_missing"),
        (FAILED, True, "cancelled_outside", "cancelled"),
        (FAILED, True, None, "failed:unknown"),
        (FAILED, False, None, "failed:no_capacity"),
        (CANCELLED, True, None, "cancelled"),
        (CANCELLED, False, "nan_loss", "failed:nan_loss"),
        (CANCELLED, False, None, "failed:no_capacity"),
        (RunState.QUEUED, True, None, "failed:no_capacity"),
        (RUNNING, False, "infrastructure", "failed:infrastructure"),
    ],
)
def test_what_an_attempt_was_good_for(state: RunState, is_last: bool, cause: str | None, came_to: str) -> None:
    assert outcome(state, is_last, True, cause) == came_to


def test_only_an_attempt_that_has_ended_has_an_outcome() -> None:
    assert outcome(RUNNING, True, False, None) == OPEN


@given(st.sampled_from(RunState), st.booleans(), st.one_of(st.none(), st.sampled_from(Reason)))
def test_useful_is_the_one_that_made_its_run_succeed(state: RunState, is_last: bool, cause: Reason | None) -> None:
    is_useful = outcome(state, is_last, True, cause) == "useful"
    assert is_useful == (state is SUCCEEDED and is_last and cause is None)


def spending(run_id: str = "run_1", metered: int | None = 167, billed: int | None = None, **fields: object) -> Spending:
    values = {"outcome": "useful", "at": NOON, "labels": {}, "minutes": 1, **fields}
    return Spending(run_id, "research", "key_1", "cpu-basic", metered=metered, billed=billed, **values)  # type: ignore[arg-type]


def test_a_bill_that_is_not_known_is_no_zero() -> None:
    known, unknown, free = spending(billed=200), spending(), spending(billed=0)
    assert (total([known]).billed, total([known]).drift) == (200, 33)
    assert (total([free]).billed, total([free]).drift) == (0, -167)
    both = total([known, unknown])
    assert (both.billed, both.drift, both.unbilled, both.metered) == (None, None, 1, 334)
    assert total([]).billed is None


def test_what_is_held_is_not_spent() -> None:
    held = spending(metered=None, held=1837, outcome=OPEN)
    added = total([spending(), held])
    assert (added.metered, added.held, added.attempts, added.unbilled) == (167, 1837, 1, 1)
    assert [name for name, _ in waste([spending(), held]).outcomes] == ["useful"]


def test_days_begin_in_the_zone_that_is_asked_for() -> None:
    late = spending(at=datetime(2026, 11, 24, 23, 30, tzinfo=UTC))
    for zone, day in (("UTC", "2026-11-24"), ("Europe/Berlin", "2026-11-25"), ("America/New_York", "2026-11-24")):
        assert [key for key, _ in grouped([late], ("day",), ZoneInfo(zone))] == [(day,)]


def test_labels_are_dimensions_and_a_run_without_one_comes_last() -> None:
    rows = [spending(), spending(labels={"project": "b"}), spending(labels={"project": "a"})]
    assert [key for key, _ in grouped(rows, ("label:project", "team"), ZoneInfo("UTC"))] == [
        ("a", "research"),
        ("b", "research"),
        (None, "research"),
    ]


def test_waste_has_the_most_money_first() -> None:
    rows = [spending(metered=100), spending("run_2", 300, outcome="timed_out"), spending("run_3", 200, outcome="stray")]
    found = waste(rows)
    assert [(name, added.metered) for name, added in found.outcomes] == [
        ("timed_out", 300),
        ("stray", 200),
        ("useful", 100),
    ]
    assert (found.wasted, found.share(found.wasted)) == (500, 500 / 600)
    assert waste([]).share(0) is None


def test_dimensions_are_repeated_or_separated_by_commas() -> None:
    assert dimensions(["team, day", "label:project"]) == ("team", "day", "label:project")
    assert dimensions([]) == ()
    for wrong in (["colour"], ["label:"], ["label:a b"], ["day,day"], [f"label:{n}" for n in range(11)]):
        with pytest.raises(Invalid):
            dimensions(wrong)
