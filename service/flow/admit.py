"""admit: queued runs whose gates are open get their money reserved; the others are told why they wait.

One transaction reads the board, decides by the pure rules of `domain.plan`, and writes what came of it. It holds the
organisation's row, so no two admissions can both count the same slot or dollar as free, whoever runs them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import structlog
from sqlmodel import Session

from service.domain.admission import Admit, Decision, Reject, Wait
from service.domain.diagnosis import Failure
from service.domain.money import dollars
from service.domain.plan import plan
from service.domain.run import Reason, RunState
from service.flow.gate import Gate
from service.flow.job_token import job_token_trouble
from service.store import board, budgets, ledger, organisation, runs
from service.store.ids import new_id
from service.store.tables import Attempt, Budget, BudgetWindow, Run

log = structlog.get_logger()

# What waits for these is put out of the way: it holds nobody up, and is looked at again when it has come.
PARKED = {Reason.WAITING_FOR_OUTPUT: "output", Reason.PRICE_UNKNOWN: "price"}


@dataclass(frozen=True)
class Pass:
    """What one pass is given. `troubles`: why a namespace takes no jobs just now, by namespace."""

    most_active: int
    troubles: Mapping[str, str | None]
    now: datetime


def run_once(gate: Gate) -> int:
    """One pass over the heads of every team's queue; how many runs were admitted or refused."""
    with gate.db.read() as session:
        namespaces = board.queued_namespaces(session)
    troubles = {namespace: job_token_trouble(gate, namespace) for namespace in namespaces}
    work = partial(admit, given=Pass(gate.limits.max_concurrent_runs, troubles, gate.clock()))
    moved = gate.write(work)
    for run_id, outcome in moved:
        log.info("run_decided", run_id=run_id, outcome=outcome)
    return len(moved)


def admit(session: Session, given: Pass) -> list[tuple[str, str]]:
    """Decide and carry out, all in this transaction: each run that moved, and how."""
    if organisation.lock(session).paused_at is not None:
        return []
    runs.wake_due(session, given.now)
    for budget in budgets.without_window(session, given.now):
        budgets.open_window(session, budget, given.now)
    heads = _open_heads(session, board.heads(session), given)
    if not heads:
        return []
    stand = board.read(session, given.most_active, given.now)
    by_id = {run.id: run for queue in heads.values() for run in queue}
    queues = {team: [board.candidate(session, run) for run in queue] for team, queue in heads.items()}
    moved = []
    for candidate, decision in plan(queues, stand):
        run = by_id[candidate.id]
        _carry_out(session, run, decision, given.now)
        if not isinstance(decision, Wait):
            moved.append((run.id, type(decision).__name__.lower()))
    return moved


def _open_heads(session: Session, heads: Mapping[str, Sequence[Run]], given: Pass) -> dict[str, list[Run]]:
    """Those whose namespace takes jobs; the others are told what is wrong."""
    queues: dict[str, list[Run]] = {}
    for team, queue in heads.items():
        for run in queue:
            if (trouble := given.troubles.get(run.namespace)) is not None:
                runs.explain(session, run, Reason.BACKING_OFF, trouble)
            else:
                queues.setdefault(team, []).append(run)
    return queues


def _carry_out(session: Session, run: Run, decision: Decision, now: datetime) -> None:
    match decision:
        case Admit():
            _admit(session, run, decision, now)
        case Wait():
            _wait(session, run, decision, now)
        case Reject():
            failure = Failure(decision.reason, decision.message, None, "Raise max_cost_usd or choose another flavor.")
            runs.advance(
                session,
                run,
                RunState.FAILED,
                now=now,
                reason=decision.reason,
                message=decision.message,
                failure=failure.as_json(),
            )


def _wait(session: Session, run: Run, wait: Wait, now: datetime) -> None:
    runs.explain(session, run, wait.reason, wait.message)
    if (what_for := PARKED.get(wait.reason)) is not None:
        runs.park(session, run, what_for)
    for window_id in wait.lacks_money:
        window = session.get(BudgetWindow, window_id)
        budget = None if window is None else session.get(Budget, window.budget_id)
        if window is not None and budget is not None:
            standing = budgets.balance(session, budget, window)
            if wait.need > standing.limit - standing.spent:  # not even with every reservation given back
                budgets.exhaust(session, budget, window, now)


def _admit(session: Session, run: Run, decision: Admit, now: datetime) -> None:
    attempt = _attempt(session, run, decision, now)
    ledger.reserve(session, attempt, decision.purses, now)
    runs.advance(
        session,
        run,
        RunState.SUBMITTING,
        now=now,
        message=f"admitted with {dollars(decision.reserve)} reserved",
        attempt=attempt.attempt,
        admitted_at=run.admitted_at or now,
        timeout_seconds=decision.timeout_seconds,
        ceiling_micro_usd=decision.reserve,
    )


def _attempt(session: Session, run: Run, decision: Admit, now: datetime) -> Attempt:
    """The next attempt; one that never had a job is taken up again under a fresh submission."""
    previous = runs.current_attempt(session, run)
    again = previous is not None and previous.hub_job_id is None
    attempt = Attempt(
        run_id=run.id,
        attempt=run.attempt if again else run.attempt + 1,
        submission=new_id("sub", now),
        flavor=run.flavor,
        timeout_seconds=decision.timeout_seconds,
        price_per_minute_micro_usd=decision.price_per_minute,
        ceiling_micro_usd=decision.reserve,
        admitted_at=now,
    )
    if again:
        session.delete(previous)
        session.flush()
    session.add(attempt)
    session.flush()
    return attempt
