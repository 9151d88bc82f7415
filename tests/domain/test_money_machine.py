"""The rules of admission under any story: after each step, what must never be otherwise.

The rules run on a board that moves on as they say; a ledger and a count kept apart from them say what is true.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from service.domain.admission import Admit, Decision, Reject, Wait, decide
from service.domain.backfill import head_of, may_pass, planned_start
from service.domain.board import Board, Candidate, named
from service.domain.budget import Balance
from service.domain.money import ceiling, minutes
from service.domain.plan import plan
from service.domain.run import Reason
from tests.domain.money_model import (
    ARRIVALS,
    BOARDS,
    FLAVORS,
    LIMITS,
    TEAMS,
    Ledger,
    Posted,
    above,
    copy_of,
    limit_of,
    looked_at,
)

PLACES = st.integers(0, 30)

# The heads that hold back other teams, by what they lack, with what each needs.
Heads = dict[str, tuple[Candidate, int]]


class Admission(RuleBasedStateMachine):
    """Teams, their money and their queue, with the world doing to them whatever it may. A pass follows each change, as
    the service's events wake it; arrivals may pile up before one."""

    board: Board
    depth: int

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger()
        self.queue: list[Candidate] = []
        self.seen: list[Candidate] = []
        self.parked: set[str] = set()
        self.number = 0

    @initialize(board=BOARDS, depth=st.sampled_from([2, 5, 99]))
    def begin(self, board: Board, depth: int) -> None:
        self.board, self.depth = copy_of(board), depth

    @rule(arrivals=ARRIVALS)
    def arrive(self, arrivals: list[dict[str, Any]]) -> None:
        for wanted in arrivals:
            self.number += 1
            fields = {**wanted, "rank": self.number - wanted["rank"]}
            self.queue.append(Candidate(id=f"run_{self.number:03}", **fields))

    @precondition(lambda self: self.queue)
    @rule(place=PLACES)
    def cancel_waiting(self, place: int) -> None:
        self.queue.pop(place % len(self.queue))
        self.admit()

    @precondition(lambda self: self.ledger.open)
    @rule(place=PLACES, percent=st.one_of(st.integers(0, 100), st.integers(0, 300)))
    def end(self, place: int, percent: int) -> None:
        """At any cost, an overrun among them."""
        self._close(place, lambda one: one.reserve * percent // 100)
        self.admit()

    @precondition(lambda self: self.ledger.open)
    @rule(place=PLACES)
    def prove_absent(self, place: int) -> None:
        """A crash came between admission and job: the money comes back, and the run waits where it stood."""
        self.queue.append(self._close(place, lambda _: 0).run)
        self.admit()

    def _close(self, place: int, cost_of: Callable[[Posted], int]) -> Posted:
        run_id = sorted(self.ledger.open)[place % len(self.ledger.open)]
        cost = cost_of(self.ledger.open[run_id])
        self.board.end(run_id, cost)
        return self.ledger.close(run_id, cost)

    @rule(place=PLACES, limit=LIMITS)
    def set_limit(self, place: int, limit: int) -> None:
        purse_id = sorted(self.board.purses)[place % len(self.board.purses)]
        purse = self.board.purses[purse_id]
        next_limit = None if purse.next_limit is None else limit
        self.board.purses[purse_id] = replace(purse, balance=replace(purse.balance, limit=limit), next_limit=next_limit)
        self.admit()

    @rule(flavor=st.sampled_from(FLAVORS), price=st.one_of(st.none(), st.integers(0, 2_000)))
    def set_price(self, flavor: str, price: int | None) -> None:
        prices = {name: known for name, known in self.board.prices.items() if name != flavor}
        self.board.prices = prices if price is None else {**prices, flavor: price}
        self.admit()

    @rule(span=st.one_of(st.integers(-120, 120), st.integers(-60 * 24, 60 * 24 * 40)))
    def turn_clock(self, span: int) -> None:
        """By minutes, forward or back; windows that have ended begin anew."""
        self.board.now += timedelta(minutes=span)
        while any(one.ends_at <= self.board.now for one in self.board.purses.values() if one.next_limit is not None):
            self.board.turn_windows()
        self.admit()

    @rule()
    def admit(self) -> None:
        """Passes over the first few of each lane, until one moves nothing and puts nothing out of the way."""
        self._see_progress()
        self.parked = set()
        while self._pass():
            pass

    def _pass(self) -> bool:
        """One pass, looked at after each of its decisions."""
        self.seen = looked_at((run for run in self.queue if run.id not in self.parked), self.depth)
        queues = {team: self._queue_of(team) for team in TEAMS}
        everyone = [run.id for run in self.seen]
        told: dict[str, Decision] = {}
        held: Heads = {}
        before = copy_of(self.board)
        for run, decision in plan(queues, self.board):
            assert run.id not in told, "each is told once"
            told[run.id] = decision
            if isinstance(decision, Wait):
                for what in self._lacks(decision) - held.keys():
                    held[what] = run, decision.need
                if decision.fits_never or decision.reason in (Reason.WAITING_FOR_OUTPUT, Reason.PRICE_UNKNOWN):
                    self.parked.add(run.id)
                continue
            if isinstance(decision, Admit):
                self._check_turn(run, before, held)
                self.ledger.reserve(
                    Posted(run, decision.price_per_minute, before.now, decision.purses, decision.reserve)
                )
                self._check_admission(run, decision, before)
                self._check_heads(run, before, held)
            else:
                assert run.cap is not None
                assert ceiling(before.prices[run.flavor], run.timeout_seconds or 0) > run.cap
            self.queue.remove(run)
            self.seen.remove(run)
            before = copy_of(self.board)
        assert sorted(told) == sorted(everyone)
        self._check_what_is_left(told, held)
        is_over = all(isinstance(decision, Wait) for decision in told.values()) and not self.parked & told.keys()
        if is_over:
            self._check_what_was_not_looked_at(told)
        return not is_over

    def _queue_of(self, team: str) -> list[Candidate]:
        return [run for run in self.seen if run.team == team]

    def _lacks(self, wait: Wait) -> set[str]:
        """What it lacks of what all teams share: the first in turn of each is protected from the others."""
        lacks = set()
        if any(self.board.purses[purse_id].team is None for purse_id in wait.lacks_money):
            lacks.add("money")
        if wait.lacks_slots and not {slot.kind for slot in wait.lacks_slots} & {"team", "user"}:
            lacks.add("slots")
        return lacks if wait.holds else set()

    def _see_progress(self) -> None:
        """Jobs run on: each has cost something by now, and one that is overdue ends within a minute."""
        for run_id, one in self.ledger.open.items():
            active = self.board.actives[run_id]
            ran = self.board.now - one.at
            least = minutes(round(ran.total_seconds() * 1000)) * one.price if ran > timedelta(0) else 0
            until = max(one.at + self.board.lasts(one.run.flavor, one.run.timeout_seconds or 0), self.board.now)
            self.board.actives[run_id] = replace(
                active, least=min(one.reserve, least), until=max(until, self.board.now + timedelta(minutes=1))
            )

    def _check_admission(self, run: Candidate, decision: Admit, before: Board) -> None:
        """No limit of money or slots is passed, as the entries and the active runs themselves say."""
        assert decision.reserve == ceiling(before.prices[run.flavor], run.timeout_seconds or 0)
        assert run.cap is None or decision.reserve <= run.cap
        purses = above(before, run)
        assert sorted(decision.purses) == sorted(purse.id for purse in purses)
        assert any(purse.team == run.team and purse.user is None for purse in purses)
        for purse in purses:
            assert not purse.hard or sum(self.ledger.balance(purse.id)) <= purse.balance.limit
        for (kind, name), taken in self.ledger.slots().items():
            limit = limit_of(before.limits, kind, name)
            mine = (kind, name) in {
                ("organisation", ""),
                ("namespace", run.namespace),
                ("flavor", run.flavor),
                ("team", run.team),
                ("user", f"{run.team}/{run.user}"),
            }
            assert not mine or limit is None or taken <= limit, f"{taken} of {limit} in {kind} {name}"
        repos = [one.run.output_repo.lower() for one in self.ledger.open.values() if one.run.output_repo]
        assert len(repos) == len(set(repos)), "two write to one repository"

    def _check_turn(self, run: Candidate, before: Board, held: Heads) -> None:
        """No first run of a team that has used less could have started in this one's place."""

        def share(team: str) -> float:
            return self.ledger.usage.get(team, 0.0) / before.weights.get(team, 1.0)

        for team in TEAMS:
            queue = self._queue_of(team)
            if not queue or share(team) >= share(run.team) - 1e-6:
                continue
            first = decide(queue[0], before)
            if isinstance(first, Admit):
                heads = [head_of(*one, Reason.WAITING_FOR_SLOT, before) for one in held.values()]
                if not all(may_pass(one, queue[0], first.reserve, first.timeout_seconds, before) for one in heads):
                    continue
            assert not isinstance(first, Admit | Reject), f"{queue[0].id} of {team} goes before {run.id}"

    def _check_heads(self, run: Candidate, before: Board, held: Heads) -> None:
        """What passed a head that waits has not put off its planned start."""
        heads = list(held.values())
        for other in self._queue_of(run.team):
            if other is run:
                break
            decision = decide(other, before)
            if isinstance(decision, Wait) and decision.holds:
                heads.append((other, decision.need))
                break
        for head, need in heads:
            assert planned_start(head, need, self.board) <= planned_start(head, need, before), f"{head.id} is put off"

    def _check_what_is_left(self, told: dict[str, Decision], held: Heads) -> None:
        """The first of each team that is not stopped by what holds nobody has started, unless a head holds it."""
        for team in TEAMS:
            for run in self._queue_of(team):
                decision = told[run.id]
                assert isinstance(decision, Wait)
                if isinstance(decide(run, self.board), Admit):
                    heads = [named(one, team) for one, _ in held.values()]
                    assert any(f"behind {head}," in decision.message for head in heads), f"{run.id} fits"
                if decision.holds or decision.message.startswith("behind "):
                    break

    def _check_what_was_not_looked_at(self, told: dict[str, Decision]) -> None:
        """What fits and stands too far back is held by the head that holds the shortest run of its lane."""
        for run in self.queue:
            if run.id in told or run.id in self.parked or not isinstance(decide(run, self.board), Admit):
                continue
            lane = (run.team, run.user, run.flavor, run.namespace)
            peers = [one for one in self.seen if (one.team, one.user, one.flavor, one.namespace) == lane]
            shortest = told[min(peers, key=lambda one: one.timeout_seconds or 0).id]
            assert isinstance(shortest, Wait)
            assert shortest.message.startswith("behind "), f"{run.id} fits"

    @invariant()
    def the_board_is_what_the_ledger_says(self) -> None:
        if not hasattr(self, "board"):
            return
        self.ledger.check()
        for purse in self.board.purses.values():
            assert purse.balance == Balance(purse.balance.limit, *self.ledger.balance(purse.id))
        assert set(self.board.actives) == set(self.ledger.open)
        assert +self.board.used == self.ledger.slots()
        for team in TEAMS:
            assert self.board.usage.get(team, 0.0) == pytest.approx(self.ledger.usage.get(team, 0.0))


QUICK = settings(max_examples=150, stateful_step_count=30, suppress_health_check=list(HealthCheck), database=None)
Admission.TestCase.settings = QUICK
TestAdmission = Admission.TestCase


# Rules broken on purpose: where, and by what.
BROKEN = {
    "reservations do not count": ("service.domain.budget.Balance.remaining", property(lambda it: it.limit - it.spent)),
    "usage is forgotten": ("service.domain.board.Board.share", lambda _board, team: ord(team)),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_rule_is_found(monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    """The machine can fail: it finds each of these within its ordinary number of stories."""
    monkeypatch.setattr(*BROKEN[broken])
    once = settings(QUICK, phases=[Phase.generate], derandomize=True, max_examples=2000, print_blob=False)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(Admission, settings=once)
