"""Rules of the service, each broken on purpose: what the simulation must notice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from service.domain.board import Board
from service.domain.run import RunState
from service.flow import cancel, recover, settle, submit, sweep
from service.flow.gate import Gate
from service.flow.submit import go_back
from service.leader import LeaseLeader
from service.store import ledger, runs, standings

Patch = pytest.MonkeyPatch


@dataclass(frozen=True)
class Broken:
    """One rule: what breaks it, the invariants by which that may be noticed, in how many replicas, and whether it takes
    a backup that is put back. `first`: a seed that found it before, tried before the others."""

    rule: Callable[[Patch], None]
    invariants: frozenset[int]
    replicas: int = 1
    restores: bool = False
    first: int = 1


def one_listing_proves_absence(patch: Patch) -> None:
    """A job that is not in one list is taken for never made."""

    def note(session: Any, loaded: Any, now: Any, **_rest: Any) -> bool:
        return go_back(session, loaded, None, now)

    patch.setattr(recover, "_note_absence", note)


def call_without_claim(patch: Patch) -> None:
    """The create call is made without a word of it in the database."""
    patch.setattr(submit, "_claim", lambda *_args, **_rest: True)


def unclear_answer_means_no_job(patch: Patch) -> None:
    """A create call without an answer is simply made again."""
    patch.setattr(submit, "_leave_open", lambda session, loaded: go_back(session, loaded, None, loaded.admitted_at))


def no_sweep_at_start(patch: Patch) -> None:
    """What a restored backup forgot is not looked for."""
    patch.setattr(sweep, "catch_up", lambda _gate, _namespace: 0)


def fence_is_not_asked(patch: Patch) -> None:
    """A process that was taken over goes on writing: neither its own clock nor the row is asked."""
    patch.setattr(LeaseLeader, "verify", lambda *_args: None)


def reserved_money_is_free(patch: Patch) -> None:
    """Admission looks at what was charged only."""
    real = standings.balance
    patch.setattr(standings, "balance", lambda *given: replace(real(*given), reserved=0))


def slots_are_not_counted(patch: Patch) -> None:
    """Every slot has room."""
    patch.setattr(Board, "has_room", lambda _board, _slot: True)


def caps_of_sweeps_bind_nothing(patch: Patch) -> None:
    """What schedules and sweeps have been given is not asked for."""
    real = Board.purses_of
    patch.setattr(Board, "purses_of", lambda board, run: [one for one in real(board, run) if one.origin is None])


def overrun_is_forgiven(patch: Patch) -> None:
    """A charge never exceeds its reservation."""
    real = ledger.settle

    def clamped(session: Any, attempt: Any, billed_minutes: int, now: Any) -> int:
        most = attempt.ceiling_micro_usd // attempt.price_per_minute_micro_usd
        return real(session, attempt, min(billed_minutes, most), now)

    patch.setattr(ledger, "settle", clamped)


def charge_leaves_reservation(patch: Patch) -> None:
    """What is charged is not taken off what is reserved."""
    real = ledger._move

    def move(*given: Any, reserved: int, charged: int) -> None:
        real(*given, reserved=0 if charged else reserved, charged=charged)

    patch.setattr(ledger, "_move", move)


def reservation_is_released_twice(patch: Patch) -> None:
    """What is given back is given back once more."""
    real = ledger._move

    def move(*given: Any, reserved: int, charged: int) -> None:
        real(*given, reserved=2 * reserved if reserved < 0 and not charged else reserved, charged=charged)

    patch.setattr(ledger, "_move", move)


def reservation_is_never_released(patch: Patch) -> None:
    """The money of a job that was never made stays reserved."""
    patch.setattr(ledger, "release", lambda *_args: None)


def cancel_beats_completed(patch: Patch) -> None:
    """A run that someone wanted stopped is cancelled, whatever its job came to."""
    real = settle._outcome

    def outcome(run: Any, attempt: Any, ending: Any) -> Any:
        decided = real(run, attempt, ending)
        is_wanted = run.cancel_requested_at is not None
        return (RunState.CANCELLED, None) if is_wanted and decided[0] is RunState.SUCCEEDED else decided

    patch.setattr(settle, "_outcome", outcome)


def asked_means_cancelled(patch: Patch) -> None:
    """A run is called cancelled as soon as its job's end was asked for."""
    real = cancel._cancel_job

    def and_say_so(gate: Any, run: Any, attempt: Any) -> bool:
        def end(session: Any) -> None:
            row = runs.lock(session, run.id)
            if row is not None and row.state in (RunState.STARTING, RunState.RUNNING):
                ledger.release(session, attempt, gate.clock())
                runs.advance(session, row, RunState.CANCELLED, now=gate.clock())

        gate.write(end)
        return real(gate, run, attempt)

    patch.setattr(cancel, "_cancel_job", and_say_so)


def secrets_stay(patch: Patch) -> None:
    """A run that has ended keeps its secrets."""
    real = runs._guarded_update

    def update(session: Any, run: Any, values: dict[str, Any]) -> bool:
        values.pop("sealed_secrets", None)
        return real(session, run, values)

    patch.setattr(runs, "_guarded_update", update)


def logs_are_kept_as_they_are(patch: Patch) -> None:
    """Nothing is masked in a job's log."""
    patch.setattr(settle.logs, "masked", lambda lines, _secrets: list(lines))


def tokens_are_everybodys(patch: Patch) -> None:
    """Every run is done with the service's tokens, whatever its team brings."""
    patch.setattr(Gate, "hub_of", lambda gate, _credentials: gate.hub)


RULES = (
    Broken(one_listing_proves_absence, frozenset({3})),
    Broken(call_without_claim, frozenset({3})),
    Broken(unclear_answer_means_no_job, frozenset({3, 4}), first=17),
    Broken(no_sweep_at_start, frozenset({3}), restores=True, first=9),
    Broken(fence_is_not_asked, frozenset({0}), replicas=2),
    Broken(reserved_money_is_free, frozenset({4}), first=17),
    Broken(slots_are_not_counted, frozenset({5})),
    Broken(caps_of_sweeps_bind_nothing, frozenset({4})),
    Broken(overrun_is_forgiven, frozenset({6})),
    Broken(charge_leaves_reservation, frozenset({6})),
    Broken(reservation_is_released_twice, frozenset({6})),
    Broken(reservation_is_never_released, frozenset({4, 6})),
    Broken(cancel_beats_completed, frozenset({8}), first=15),
    Broken(asked_means_cancelled, frozenset({3, 4, 6, 8})),
    Broken(secrets_stay, frozenset({9})),
    Broken(logs_are_kept_as_they_are, frozenset({9})),
    Broken(tokens_are_everybodys, frozenset({9})),
)
