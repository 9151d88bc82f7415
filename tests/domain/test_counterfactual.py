"""What is told of a run alone is what a pass over all of them comes to."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from service.domain.admission import Admit
from service.domain.board import Board, Candidate
from service.domain.counterfactual import outcome
from service.domain.plan import plan
from tests.domain.money_model import ARRIVALS, BOARDS, TEAMS, copy_of

USAGES = st.fixed_dictionaries({team: st.sampled_from([0.0, 1_000.0, 5_000.0]) for team in TEAMS})


@settings(max_examples=300)
@given(stand=BOARDS, arrivals=st.lists(ARRIVALS, min_size=1, max_size=3), usage=USAGES)
def test_a_run_is_told_to_start_if_and_only_if_a_pass_starts_it(
    stand: Board, arrivals: list[list[dict[str, Any]]], usage: dict[str, float]
) -> None:
    every = [one for some in arrivals for one in some]
    queues: dict[str, list[Candidate]] = {}
    for place, one in enumerate(every):
        queues.setdefault(one["team"], []).append(Candidate(id=f"run_{place:03}", **{**one, "rank": place}))
    stand.usage.update(usage)
    before = copy_of(stand)
    started = {run.id for run, decision in plan(queues, copy_of(stand)) if isinstance(decision, Admit)}
    for run in (run for queue in queues.values() for run in queue):
        assert isinstance(outcome(run, queues, stand), Admit) == (run.id in started), run.id
    assert stand == before
