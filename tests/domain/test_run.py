"""The state machine."""

from __future__ import annotations

import pytest

from service.domain.run import ACTIVE, EVENT, NEXT, TERMINAL, RunState, require_edge


def test_the_terminal_states_are_where_nothing_follows() -> None:
    assert {RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED} == TERMINAL
    assert not TERMINAL & ACTIVE


def test_every_state_can_be_reached_and_can_end() -> None:
    reached = {RunState.QUEUED}
    while more := {to for state in reached for to in NEXT[state]} - reached:
        reached |= more
    assert reached == set(RunState)
    for state in set(RunState) - TERMINAL:
        ends = {state}
        while more := {to for one in ends for to in NEXT[one]} - ends:
            ends |= more
        assert ends & TERMINAL


def test_only_admission_goes_untold() -> None:
    assert set(RunState) - set(EVENT) == {RunState.SUBMITTING}


@pytest.mark.parametrize("terminal", sorted(TERMINAL))
def test_nothing_leaves_a_terminal_state(terminal: RunState) -> None:
    for to in RunState:
        with pytest.raises(ValueError, match="no move"):
            require_edge(terminal, to)
