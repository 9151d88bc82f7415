"""May this run start now, and if not, why."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.admission import Admit, Reject, Wait, decide
from service.domain.board import Active, Board, Candidate, Purse
from service.domain.budget import NEVER, Balance
from service.domain.run import Reason
from service.domain.slots import SlotLimits

NOW = datetime(2026, 11, 24, tzinfo=UTC)
RUN = Candidate("run_1", "research", "ana", "a10g-large", "acme", 0, 7200, None, "acme/model")
DECEMBER = datetime(2026, 12, 1, tzinfo=UTC)


def purse(limit: int, reserved: int = 0, charged: int = 0, team: str | None = "research", **fields: Any) -> Purse:
    """A monthly budget's window."""
    values: dict[str, Any] = {
        "id": f"win_{team}",
        "name": f"{team or 'organisation'}/month",
        "team": team,
        "user": None,
        "balance": Balance(limit, reserved, charged),
        "hard": True,
        "ends_at": DECEMBER,
        "next_limit": limit,
        **fields,
    }
    return Purse(**values)


def active(run_id: str, minutes: float = 60, reserved: int = 0, **fields: Any) -> Active:
    """A run that ends in so many minutes at the latest."""
    values: dict[str, Any] = {
        "team": "research",
        "user": "ana",
        "flavor": "a10g-large",
        "namespace": "acme",
        "purses": ("win_research",),
        **fields,
    }
    return Active(id=run_id, until=NOW + timedelta(minutes=minutes), reserved=reserved, **values)


def board(
    *purses: Purse,
    actives: tuple[Active, ...] = (),
    organisation: int = 20,
    price: int | None = 25_000,
    **fields: Any,
) -> Board:
    """A board with room for everything that is not said."""
    limits = {"namespaces": {}, "flavors": {}, "teams": {}, "per_user": {}, **fields.pop("limits", {})}
    return Board(
        now=NOW,
        limits=SlotLimits(organisation=organisation, **limits),
        prices={} if price is None else {"a10g-large": price, "cpu-basic": 167},
        scheduling={"a10g-large": timedelta(minutes=5), "cpu-basic": timedelta(minutes=1)},
        purses={one.id: one for one in purses},
        actives={one.id: one for one in actives},
        usage=fields.pop("usage", {}),
        weights=fields.pop("weights", {}),
    )


def test_an_open_gate_reserves_the_ceiling() -> None:
    assert decide(RUN, board(purse(5_000_000))) == Admit(25_000, 7200, 3_025_000, ("win_research",))


@pytest.mark.parametrize(
    ("stand", "reason", "says"),
    [
        (board(purse(5_000_000), price=None), Reason.PRICE_UNKNOWN, "a10g-large"),
        (board(), Reason.WAITING_FOR_BUDGET, "no budget"),
        (board(purse(9_000_000, team=None)), Reason.WAITING_FOR_BUDGET, "no budget"),
        (board(purse(5_000_000, reserved=2_000_000)), Reason.WAITING_FOR_BUDGET, "$0.025 is missing"),
        (board(purse(5_000_000, charged=2_000_000)), Reason.WAITING_FOR_BUDGET, "2026-12-01 00:00"),
        (
            board(purse(5_000_000), purse(3_000_000, team=None)),
            Reason.WAITING_FOR_BUDGET,
            "organisation/month",
        ),
        (
            board(purse(5_000_000), purse(1_000_000, user="ana", id="win_ana", name="research/ana/month")),
            Reason.WAITING_FOR_BUDGET,
            "research/ana/month",
        ),
        (board(purse(5_000_000), actives=(active("run_0"),), organisation=1), Reason.WAITING_FOR_SLOT, "1 of 1"),
        (
            board(purse(5_000_000), actives=(active("run_0"),), limits={"teams": {"research": 1}}),
            Reason.WAITING_FOR_SLOT,
            "1 of 1 the team's",
        ),
        (
            board(purse(5_000_000), actives=(active("run_0", team="b"),), limits={"flavors": {"a10g-large": 1}}),
            Reason.WAITING_FOR_SLOT,
            "runs on a10g-large",
        ),
        (
            board(purse(5_000_000), actives=(active("run_0", team="b"),), limits={"namespaces": {"acme": 1}}),
            Reason.WAITING_FOR_SLOT,
            "in namespace acme",
        ),
        (
            board(purse(5_000_000), actives=(active("run_0"),), limits={"per_user": {"research": 1}}),
            Reason.WAITING_FOR_SLOT,
            "the user's runs",
        ),
        (
            board(purse(5_000_000), actives=(active("run_0", output_repo="Acme/Model"),)),
            Reason.WAITING_FOR_OUTPUT,
            "run_0",
        ),
    ],
)
def test_a_closed_gate_says_which_and_with_what_numbers(stand: Board, reason: Reason, says: str) -> None:
    decision = decide(RUN, stand)
    assert isinstance(decision, Wait)
    assert decision.reason is reason
    assert says in decision.message


def test_what_bounds_others_does_not_bind() -> None:
    others = (
        purse(0, team="other", id="win_other"),
        purse(0, user="ben", id="win_ben"),
        purse(0, team=None, hard=False),
    )
    stand = board(
        purse(5_000_000),
        *others,
        actives=(active("run_0", team="b", user="b", flavor="cpu-basic", namespace="b"),),
        limits={"flavors": {"a10g-large": 1, "cpu-basic": 1}, "teams": {"b": 1, "research": 1}},
    )
    decision = decide(RUN, stand)
    assert isinstance(decision, Admit)
    assert set(decision.purses) == {"win_research", "win_None"}, "a soft budget is charged too"


def test_a_price_that_rose_above_the_callers_cap_ends_the_wait() -> None:
    capped = replace(RUN, cap=3_050_000)
    assert isinstance(decide(capped, board(purse(5_000_000))), Admit)
    assert isinstance(decide(capped, board(purse(5_000_000), price=26_000)), Reject)


def test_a_price_that_changed_meanwhile_is_said() -> None:
    decision = decide(replace(RUN, quoted_price=20_000), board(purse(3_000_000)))
    assert isinstance(decision, Wait)
    assert "went from $0.02 to $0.025 a minute" in decision.message


def test_a_total_budget_promises_no_date_and_gets_nothing_back_that_is_spent() -> None:
    total: dict[str, Any] = {"ends_at": NEVER, "next_limit": None}
    decision = decide(RUN, board(purse(4_000_000, reserved=2_000_000, **total)))
    assert isinstance(decision, Wait)
    assert "or the budget is raised" in decision.message
    assert (decision.holds, decision.fits_never) == (True, False)
    decision = decide(RUN, board(purse(4_000_000, charged=2_000_000, **total)))
    assert isinstance(decision, Wait)
    assert "no more than $2.00 left" in decision.message
    assert (decision.holds, decision.fits_never) == (False, True)


@pytest.mark.parametrize("swapped", [False, True])
def test_of_two_budgets_that_are_short_the_one_that_fits_last_says_when(swapped: bool) -> None:
    ends = [DECEMBER, NOW + timedelta(days=1)]
    team, everyone = reversed(ends) if swapped else ends
    stand = board(
        purse(4_000_000, charged=2_000_000, ends_at=team),
        purse(4_000_000, charged=1_000_000, team=None, ends_at=everyone),
    )
    decision = decide(RUN, stand)
    assert isinstance(decision, Wait)
    assert "2026-12-01 00:00" in decision.message
    assert decision.message.startswith(f"needs $3.025, {'$3.00' if swapped else '$2.00'} of $4.00 is free in")
    assert decision.message.endswith(f"; short of money, too: {'research' if swapped else 'organisation'}/month")
    assert set(decision.lacks_money) == {"win_research", "win_None"}


@given(
    limits=st.lists(
        st.tuples(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**9)), min_size=3, max_size=3
    ),
    price=st.integers(1, 10**6),
    timeout=st.one_of(st.none(), st.integers(60, 10**5)),
    cap=st.integers(0, 10**9),
)
def test_no_admission_goes_over_any_budget_or_the_runs_own_cap(
    limits: list[tuple[int, int, int]], price: int, timeout: int | None, cap: int
) -> None:
    owners: list[dict[str, Any]] = [{"team": None}, {}, {"user": "ana", "id": "win_ana"}]
    purses = [purse(*numbers, **owner) for numbers, owner in zip(limits, owners, strict=True)]
    decision = decide(replace(RUN, timeout_seconds=timeout, cap=cap), board(*purses, price=price))
    if isinstance(decision, Admit):
        assert all(one.balance.remaining >= decision.reserve for one in purses)
        assert decision.reserve <= cap
        assert decision.timeout_seconds >= 60
