"""A pass that is given only the first of each lane admits what a pass admits that is given all it may look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.domain.admission import Admit, Decision, Wait
from service.domain.board import Board, Candidate, LaneKey
from service.domain.plan import DEPTH, looked_at, plan
from tests.domain.money_model import ARRIVALS, BOARDS, copy_of
from tests.domain.test_admission import board, purse
from tests.domain.test_plan import rich, run


@dataclass
class Lanes:
    """All that waits, by rank, and which lanes were opened."""

    queue: Sequence[Candidate]
    opened: list[LaneKey] = field(default_factory=list)

    def of(self, lane: LaneKey) -> list[Candidate]:
        return [one for one in self.queue if one.lane == lane]

    def firsts(self) -> dict[str, list[Candidate]]:
        found: dict[str, list[Candidate]] = {}
        for one in self.queue:
            if self.of(one.lane)[0] is one:
                found.setdefault(one.team, []).append(one)
        return found

    def shortest(self, lane: LaneKey) -> Candidate | None:
        return min(self.of(lane), key=lambda one: one.timeout_seconds or 0)

    def few(self, lane: LaneKey) -> Sequence[Candidate]:
        assert lane not in self.opened, "a lane is opened once"
        self.opened.append(lane)
        mine, shortest = self.of(lane), self.shortest(lane)
        return [*mine[:DEPTH], *(one for one in mine[DEPTH:] if one is shortest)]


def told(lanes: Lanes, stand: Board) -> dict[str, Decision]:
    return {one.id: decision for one, decision in plan(lanes.firsts(), stand, lanes)}


def admitted(decisions: dict[str, Decision]) -> list[str]:
    return [run_id for run_id, decision in decisions.items() if isinstance(decision, Admit)]


@settings(max_examples=300)
@given(stand=BOARDS, arrivals=st.lists(ARRIVALS, min_size=1, max_size=3))
def test_it_admits_the_same(stand: Board, arrivals: list[list[dict[str, Any]]]) -> None:
    every = [one for some in arrivals for one in some]
    made = [Candidate(id=f"run_{place:03}", **{**one, "rank": place}) for place, one in enumerate(every)]
    # Whose own cap is not enough is refused when its turn comes, and not before: that alone differs.
    queue = [replace(one, cap=None) for one in made]
    whole: dict[str, list[Candidate]] = {}
    for one in looked_at(queue, stand):
        whole.setdefault(one.team, []).append(one)
    expected = {one.id: decision for one, decision in plan(whole, copy_of(stand))}
    assert admitted(told(Lanes(queue), copy_of(stand))) == admitted(expected)


def test_what_may_start_behind_a_first_that_lacks_money_does() -> None:
    lanes = Lanes([run("long", minutes=60), run("middle", minutes=50), run("short", minutes=4)])
    stand = board(purse(1_000))
    assert admitted(told(lanes, stand)) == ["short"]
    assert len(lanes.opened) == 1


def test_a_lane_of_which_nothing_may_start_stays_closed() -> None:
    queue = [run("long", minutes=60), run("short", minutes=4)]
    poor, full = Lanes(queue), Lanes(queue)
    assert [*told(poor, board(purse(100)))] == ["long"]
    assert [*told(full, board(rich("research"), organisation=0))] == ["long"]
    assert poor.opened == full.opened == []


@pytest.mark.parametrize("slots", [1, 7])
def test_behind_one_that_starts_its_lane_goes_on(slots: int) -> None:
    lanes = Lanes([run(f"run_{number}") for number in range(9)])
    decisions = told(lanes, board(rich("research"), organisation=slots))
    assert len(admitted(decisions)) == min(slots, DEPTH), "the first few of a lane in one pass"
    assert all(
        isinstance(decision, Wait) for run_id, decision in decisions.items() if run_id not in admitted(decisions)
    )
