"""A simulation that finds nothing proves little: each of these broken rules must be found, and within few seeds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from service.domain.board import Board
from service.domain.run import RunState
from service.flow import cancel, recover, settle, submit
from service.flow.submit import go_back
from service.store import budgets, ledger, runs
from tests.simulation import world
from tests.simulation.mood import Mood, draw_mood
from tests.simulation.story import tell

MOST_SEEDS = 60
Break = Callable[[pytest.MonkeyPatch], None]


def one_listing_proves_absence(patch: pytest.MonkeyPatch) -> None:
    """A job that is not in one list is taken for never made."""

    def note(session: Any, gate: Any, loaded: Any, now: Any) -> bool:
        return go_back(session, loaded, None, now)

    patch.setattr(recover, "_note_absence", note)


def secrets_stay(patch: pytest.MonkeyPatch) -> None:
    """A run that has ended keeps its secrets."""
    real = runs._guarded_update

    def update(session: Any, run: Any, values: dict[str, Any]) -> bool:
        values.pop("sealed_secrets", None)
        return real(session, run, values)

    patch.setattr(runs, "_guarded_update", update)


def call_without_claim(patch: pytest.MonkeyPatch) -> None:
    """The create call is made without a word of it in the database."""
    patch.setattr(submit, "_claim", lambda *_args, **_rest: True)


def unclear_answer_means_no_job(patch: pytest.MonkeyPatch) -> None:
    """A create call without an answer is simply made again."""
    patch.setattr(submit, "_leave_open", lambda session, loaded: go_back(session, loaded, None, loaded.admitted_at))


def reserved_money_is_free(patch: pytest.MonkeyPatch) -> None:
    """Admission looks at what was charged only."""
    real = budgets.balance
    patch.setattr(budgets, "balance", lambda *given: replace(real(*given), reserved=0))


def overrun_is_forgiven(patch: pytest.MonkeyPatch) -> None:
    """A charge never exceeds its reservation."""
    real = ledger.settle

    def clamped(session: Any, attempt: Any, billed_minutes: int, now: Any) -> int:
        most = attempt.ceiling_micro_usd // attempt.price_per_minute_micro_usd
        return real(session, attempt, min(billed_minutes, most), now)

    patch.setattr(ledger, "settle", clamped)


def charge_leaves_reservation(patch: pytest.MonkeyPatch) -> None:
    """What is charged is not taken off what is reserved."""
    real = ledger._move

    def move(*given: Any, reserved: int, charged: int) -> None:
        real(*given, reserved=0 if charged else reserved, charged=charged)

    patch.setattr(ledger, "_move", move)


def cancel_beats_completed(patch: pytest.MonkeyPatch) -> None:
    """A run that someone wanted stopped is cancelled, whatever its job came to."""
    real = settle._outcome

    def outcome(run: Any, attempt: Any, ending: Any) -> Any:
        decided = real(run, attempt, ending)
        is_wanted = run.cancel_requested_at is not None
        return (RunState.CANCELLED, None) if is_wanted and decided[0] is RunState.SUCCEEDED else decided

    patch.setattr(settle, "_outcome", outcome)


def asked_means_cancelled(patch: pytest.MonkeyPatch) -> None:
    """A run is called cancelled as soon as its job's end was asked for."""
    real = cancel._cancel_job

    def and_say_so(gate: Any, run: Any, attempt: Any) -> bool:
        def end(session: Any) -> None:
            row = runs.lock(session, run.id)
            if row is not None and row.state in (RunState.STARTING, RunState.RUNNING):
                ledger.release(session, attempt, gate.clock())
                runs.advance(session, row, RunState.CANCELLED, now=gate.clock())

        gate.db.write(end)
        return real(gate, run, attempt)

    patch.setattr(cancel, "_cancel_job", and_say_so)


def slots_are_not_counted(patch: pytest.MonkeyPatch) -> None:
    """Every slot has room."""
    patch.setattr(Board, "has_room", lambda _board, _slot: True)


def logs_are_kept_as_they_are(patch: pytest.MonkeyPatch) -> None:
    """Nothing is masked in a job's log."""
    patch.setattr(settle.logs, "masked", lambda lines, _secrets: list(lines))


RULES: tuple[tuple[Break, set[int]], ...] = (
    (one_listing_proves_absence, {3}),
    (call_without_claim, {3}),
    (unclear_answer_means_no_job, {3}),
    (reserved_money_is_free, {4}),
    (overrun_is_forgiven, {6}),
    (charge_leaves_reservation, {6}),
    (cancel_beats_completed, {8}),
    (asked_means_cancelled, {3, 6, 8}),
    (slots_are_not_counted, {5}),
    (logs_are_kept_as_they_are, {9}),
    (secrets_stay, {9}),
)


def stormy(chance: Random) -> Mood:
    """A mood in which much goes wrong."""
    return replace(draw_mood(chance), kill=0.04, trouble=0.15, meanwhile=0.05)


@pytest.mark.parametrize(("rule", "invariants"), RULES, ids=[rule.__name__ for rule, _ in RULES])
def test_a_broken_rule_is_found(rule: Break, invariants: set[int], monkeypatch: pytest.MonkeyPatch) -> None:
    # trouble in every world: it is the broken rules that are looked for here
    monkeypatch.setattr(world, "draw_mood", stormy)
    rule(monkeypatch)
    for seed in range(1, MOST_SEEDS + 1):
        if (violation := tell(seed).violation) is not None:
            print(f"{rule.__name__}: seed {seed}: {violation}")  # noqa: T201
            assert violation.invariant in invariants, violation
            return
    raise AssertionError(f"{MOST_SEEDS} seeds, and nothing was noticed")
