"""A head that waits starts within bounds, however many small runs stream in behind it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from service.domain.admission import Admit
from service.domain.board import Board, Candidate
from service.domain.money import ceiling
from service.domain.plan import plan
from tests.domain.money_model import looked_at
from tests.domain.test_admission import active, board, purse
from tests.domain.test_plan import PRICE, run

GPU_PRICE = 25_000  # as `board` has it


def stream(stand: Board, head: Candidate, small: list[Candidate], ends: int, percent: int, depth: int) -> int | None:
    """Runs end in the order of their timeouts, at a percentage of their ceilings; with each end new small runs
    arrive, and a pass is made over the first few of each lane. The number of ends after which the head has started,
    None where it has not."""
    queue: list[Candidate] = [head]
    for count in range(ends):
        queue += [replace(one, id=f"{one.id}.{count}", rank=count + 1) for one in small]
        seen = looked_at(queue, depth)
        teams = {one.team: [other for other in seen if other.team == one.team] for one in seen}
        started = {one.id for one, decision in plan(teams, stand) if isinstance(decision, Admit)}
        if head.id in started:
            return count
        queue = [one for one in queue if one.id not in started][:40]
        ended = min(stand.actives.values(), key=lambda one: (one.until, one.id))
        stand.now = max(stand.now, ended.until)
        stand.end(ended.id, max(PRICE, ended.reserved * percent // 100))  # a minute is the least that is billed
    return None


def starts(
    lasting: list[int], small: list[int], minutes: int, room: int, slack: int, percent: int, other: bool, depth: int
) -> bool:
    """Whether the head of such a story starts within its bound. It waits for the one GPU slot, and has its money as
    long as those that pass take no more than the slack. Another team's runs go before it only while that team has used
    less, which each of them brings nearer to its end."""
    need = ceiling(GPU_PRICE, minutes * 60)
    actives = tuple(
        active(f"old_{number}", minutes=length, team="c", purses=()) for number, length in enumerate(lasting)
    )
    stand = board(
        purse(need + slack),
        purse(10**9, team="b"),
        actives=actives,
        organisation=len(actives) + room,
        limits={"flavors": {"a10g-large": len(actives)}},
    )
    head = run("head", minutes=minutes, flavor="a10g-large")
    streams = [run(f"small_{number}", minutes=length) for number, length in enumerate(small)]
    if other:
        streams += [replace(one, id=f"b_{one.id}", team="b") for one in streams]
    # All that the free slots can end before the GPU's runs have, each taking two minutes at the least, and what b may
    # start until it has used as much as the slack let the head's team use.
    bound = len(actives) + room * (max(lasting) // 2 + 1) + (slack // PRICE + 1) * other
    return stream(stand, head, streams, bound + 1, percent, depth) is not None


@settings(suppress_health_check=list(HealthCheck))
@given(
    lasting=st.lists(st.integers(1, 60), min_size=1, max_size=3),
    small=st.lists(st.integers(1, 30), min_size=1, max_size=4),
    minutes=st.integers(1, 300),
    room=st.integers(0, 2),
    slack=st.integers(0, 4_000),
    percent=st.integers(0, 100),
    other=st.booleans(),
    depth=st.sampled_from([1, 2, 5, 40]),
)
@example(
    lasting=[3], small=[1, 1], minutes=1, room=2, slack=334, percent=0, other=False, depth=5
)  # two that passed at once
def test_a_head_starts_within_a_bounded_number_of_ends(
    lasting: list[int], small: list[int], minutes: int, room: int, slack: int, percent: int, other: bool, depth: int
) -> None:
    assert starts(lasting, small, minutes, room, slack, percent, other, depth)


def test_a_head_starves_where_anything_may_pass_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound is backfill's doing: without its rule the same stream goes on for ever."""
    story = ([3], [1, 1], 1, 2, 334, 0, False, 5)
    assert starts(*story)
    monkeypatch.setattr("service.domain.plan.may_pass", lambda *_: True)
    assert not starts(*story)
