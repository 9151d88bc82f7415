"""One pass over all queues: whose turn it is, who may pass, and what no pass ever does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from service.domain.admission import Admit, Decision, Wait
from service.domain.backfill import planned_start
from service.domain.board import Board, Candidate
from service.domain.budget import NEVER, Balance
from service.domain.fairness import HALF_LIFE, decayed, rank
from service.domain.money import ceiling
from service.domain.plan import plan
from service.domain.run import Reason
from service.domain.slots import slots_of
from tests.domain.test_admission import DECEMBER, NOW, active, board, purse

PRICE = 167


def run(run_id: str, team: str = "research", minutes: int = 10, **fields: Any) -> Candidate:
    values: dict[str, Any] = {"user": "ana", "flavor": "cpu-basic", "namespace": "acme", "rank": 0, **fields}
    return Candidate(id=run_id, team=team, timeout_seconds=minutes * 60, cap=None, **values)


def decide_all(stand: Board, *queue: Candidate) -> dict[str, Decision]:
    teams = {one.team: [other for other in queue if other.team == one.team] for one in queue}
    return {one.id: decision for one, decision in plan(teams, stand)}


def admitted(decisions: dict[str, Decision]) -> list[str]:
    return [run_id for run_id, decision in decisions.items() if isinstance(decision, Admit)]


def rich(team: str) -> Any:
    return purse(10**12, team=team)


def test_the_team_that_used_least_goes_first_and_a_reservation_counts_at_once() -> None:
    stand = board(rich("a"), rich("b"), usage={"a": 3000.0, "b": 0.0})
    queue = [run(f"{team}{number}", team) for team in "ab" for number in range(3)]
    need = ceiling(PRICE, 600)  # 1837: after two of b's, a is the one that used less
    assert list(admitted(decide_all(stand, *queue))) == ["b0", "b1", "a0", "b2", "a1", "a2"]
    assert stand.usage == {"a": 3000 + 3 * need, "b": 3 * need}


def test_an_end_leaves_what_the_run_cost_in_its_teams_usage() -> None:
    stand = board(rich("a"), usage={"a": 500.0})
    assert admitted(decide_all(stand, run("a0", "a"), run("a1", "a"))) == ["a0", "a1"]
    stand.end("a0", 167)
    stand.end("a1", 0)
    assert stand.usage == {"a": 500 + 167}


def test_a_weight_of_two_gets_two_thirds_of_the_slots() -> None:
    stand = board(rich("a"), rich("b"), organisation=9, weights={"a": 2.0})
    queue = [run(f"{team}{number}", team) for team in "ab" for number in range(9)]
    started = admitted(decide_all(stand, *queue))
    assert sum(run_id.startswith("a") for run_id in started) == 6


def test_an_idle_teams_share_is_used_by_the_others() -> None:
    stand = board(rich("a"), rich("b"), organisation=5, usage={"a": 1e9})
    assert len(admitted(decide_all(stand, *[run(f"a{number}", "a") for number in range(9)]))) == 5


def test_past_usage_is_forgiven_by_half_each_half_life() -> None:
    assert decayed(8.0, NOW, NOW + 3 * HALF_LIFE) == 1.0
    assert decayed(8.0, NOW, NOW - HALF_LIFE) == 8.0, "a clock that was set back forgives nothing"


def test_priority_is_worth_waiting_time_so_nothing_starves() -> None:
    assert rank(NOW, 90) < rank(NOW, 50) < rank(NOW + timedelta(seconds=1), 50)
    assert rank(NOW, 0) < rank(NOW + timedelta(hours=26), 100)


def test_another_user_passes_a_user_who_has_no_slot() -> None:
    stand = board(
        rich("research"), actives=(active("run_0", flavor="cpu-basic"),), limits={"per_user": {"research": 1}}
    )
    decisions = decide_all(stand, run("anas"), run("bens", user="ben"))
    assert isinstance(decisions["anas"], Wait)
    assert admitted(decisions) == ["bens"]


def test_backfill_leaves_the_heads_last_slot_free_or_has_ended_by_then() -> None:
    full = {"flavors": {"a10g-large": 1}, "teams": {"research": 1}}
    for minutes, passes in ((30, True), (100, False)):
        stand = board(rich("research"), actives=(active("run_0", minutes=60, team="b", purses=()),), limits=full)
        decisions = decide_all(stand, run("head", flavor="a10g-large"), run("later", minutes=minutes))
        assert decisions["head"].reason is Reason.WAITING_FOR_SLOT  # type: ignore[union-attr]
        assert (admitted(decisions) == ["later"]) is passes, minutes


def test_a_stream_of_small_runs_never_starves_a_large_one() -> None:
    need = ceiling(PRICE, 100 * 60)
    stand = board(
        purse(need + 3000, reserved=need),
        actives=(active("run_0", minutes=200, reserved=need, flavor="cpu-basic"),),
    )
    small = [run(f"small{number}", minutes=1) for number in range(20)]
    decisions = decide_all(stand, run("head", minutes=100), *small)
    assert 0 < len(admitted(decisions)) <= 3000 // ceiling(PRICE, 60)
    stand.end("run_0", 0)
    assert stand.purses["win_research"].balance.remaining >= need


def test_what_a_head_could_not_use_in_this_window_is_free_to_use() -> None:
    stand = board(purse(10_000, charged=9_000))
    decisions = decide_all(stand, run("head", minutes=30), run("small", minutes=4))
    assert admitted(decisions) == ["small"]
    assert planned_start(run("head"), 9_000, stand) == DECEMBER


def test_the_organisations_money_is_held_for_the_first_team_in_turn() -> None:
    stand = board(
        purse(10**9, team="a"),
        purse(10**9, team="b"),
        purse(4_000, reserved=2_000, team=None, id="win_org"),
        actives=(active("run_0", team="c", reserved=2_000, purses=("win_org",), flavor="cpu-basic"),),
        usage={"b": 1.0},
    )
    decisions = decide_all(stand, run("big", "a", minutes=20), run("small", "b", minutes=4))
    assert admitted(decisions) == []
    assert "behind a run of another team," in decisions["small"].message  # type: ignore[union-attr]


def test_a_head_that_needs_two_slots_of_other_teams_is_left_them_one_after_the_other() -> None:
    one_each = {"flavors": {"a10g-large": 1}, "namespaces": {"acme": 1}}
    stand = board(
        *[rich(team) for team in "abc"],
        actives=(active("c0", minutes=15, team="c", flavor="cpu-basic", purses=()),),
        limits=one_each,
        usage={"b": 1.0},
    )
    on_gpu = {"flavor": "a10g-large", "namespace": "lab"}
    decisions = decide_all(stand, run("head", "a", flavor="a10g-large"), run("long", "b", minutes=60, **on_gpu))
    assert admitted(decisions) == []
    assert "behind a run of another team," in decisions["long"].message  # type: ignore[union-attr]
    assert admitted(decide_all(stand, run("head", "a", flavor="a10g-large"), run("brief", "b", minutes=5, **on_gpu)))


def test_a_head_that_only_a_larger_limit_would_help_holds_nobody_up() -> None:
    stand = board(purse(10**9, ends_at=NEVER, next_limit=None), limits={"flavors": {"a10g-large": 0}})
    decisions = decide_all(stand, run("head", flavor="a10g-large"), run("later"))
    assert admitted(decisions) == ["later"]


RUNS = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.sampled_from(["ana", "ben"]),
        st.sampled_from(["cpu-basic", "a10g-large"]),
        st.integers(1, 300),
    ),
    max_size=25,
)


@given(
    wanted=RUNS,
    limits=st.lists(st.integers(0, 10**7), min_size=5, max_size=5),
    slots=st.lists(st.integers(0, 6), min_size=4, max_size=4),
)
def test_no_pass_goes_over_a_limit_or_leaves_a_first_run_that_fits(
    wanted: Sequence[tuple[str, str, str, int]], limits: list[int], slots: list[int]
) -> None:
    purses = [purse(limit, team=team) for team, limit in zip("abc", limits, strict=False)]
    purses += [purse(limits[3], team=None), purse(limits[4], team="a", user="ana", id="win_ana")]
    stand = board(
        *purses,
        organisation=slots[0],
        limits={"flavors": {"a10g-large": slots[1]}, "teams": {"b": slots[2]}, "per_user": {"c": slots[3]}},
    )
    queue = [
        run(f"run_{number:02}", team, minutes, user=user, flavor=flavor, rank=number)
        for number, (team, user, flavor, minutes) in enumerate(wanted)
    ]
    decisions = decide_all(stand, *queue)
    assert set(decisions) == {one.id for one in queue}, "each is told once"
    for one in stand.purses.values():
        assert one.balance.remaining >= 0
    for one_run in queue:
        for slot in slots_of(one_run):
            limit = stand.limits.of(slot)
            assert limit is None or stand.used[slot] <= limit
    for team in "abc":
        left = [one for one in queue if one.team == team and one.id not in admitted(decisions)]
        if left and "behind" not in decisions[left[0].id].message:
            fresh = replace(left[0])
            again = decide_all(stand, fresh)
            assert not admitted(again), "what fits has started"


def test_a_window_is_followed_by_the_next_one_of_its_calendar() -> None:
    """March has 31 days: what needs April's money does not start on the last of them."""
    stand = board(purse(10_000, charged=9_000, ends_at=datetime(2026, 3, 1, tzinfo=UTC)))
    stand.now = datetime(2026, 3, 1, tzinfo=UTC)
    stand.turn_windows()
    [march] = stand.purses.values()
    assert (march.ends_at, march.balance) == (datetime(2026, 4, 1, tzinfo=UTC), Balance(10_000, 0, 0))


def test_balance_never_counts_outside_spending_twice() -> None:
    assert Balance(10, 2, 3, 4).remaining == 1
    assert Balance(10, 2, 3, 4).spent == 7
