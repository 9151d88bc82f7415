"""admit: queued runs whose gates are open get their money reserved; the others are told why they wait.

Each run is decided in a transaction of its own that reads the usage it is decided on, so no two admissions can both
count the same slot or dollar as free.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial

import structlog
from sqlalchemy import func
from sqlmodel import Session, col, select

from service.domain.admission import Admit, Candidate, Reject, Situation, Wait, decide
from service.domain.diagnosis import Failure
from service.domain.run import ACTIVE, Reason, RunState
from service.flow.each import each
from service.flow.gate import Gate, Limits
from service.flow.job_token import job_token_trouble
from service.store import flavors, ledger, runs, teams
from service.store.describe import money_of
from service.store.ids import new_id
from service.store.tables import Attempt, Run

log = structlog.get_logger()

# How far into a team's queue one pass looks, and how many behind a run that holds the team are told so.
DEPTH = 1000
TOLD_BEHIND = 50


def run_once(gate: Gate) -> int:
    """One pass over every team's queue; how many runs were admitted or refused."""
    with gate.db.read() as session:
        queues = queues_by_team(session)
    namespaces = {namespace for queue in queues.values() for _, namespace in queue}
    troubles = {namespace: job_token_trouble(gate, namespace) for namespace in namespaces}
    return sum(_admit_team(gate, queue, troubles) for queue in queues.values())


def _admit_team(gate: Gate, queue: list[tuple[str, str]], troubles: dict[str, str | None]) -> int:
    moved = told = 0
    held_by: str | None = None
    for run_id, namespace in queue:
        if (trouble := troubles[namespace]) is not None:
            gate.db.write(partial(_wait, run_id=run_id, wait=Wait(Reason.BACKING_OFF, trouble)))
        elif held_by is not None:
            gate.db.write(partial(_wait_behind, run_id=run_id, ahead=held_by))
            told += 1
            if told >= TOLD_BEHIND:
                break
        else:
            work = partial(admit_one, run_id=run_id, limits=gate.limits, now=gate.clock())
            outcome = each("admit", run_id, partial(gate.db.write, work))
            if isinstance(outcome, Wait) and outcome.holds_team:
                held_by = run_id
            elif isinstance(outcome, Admit | Reject):
                moved += 1
                log.info("run_decided", run_id=run_id, outcome=type(outcome).__name__.lower())
    return moved


def queues_by_team(session: Session) -> dict[str, list[tuple[str, str]]]:
    """The head of each team's queue as (run id, namespace): by priority, then in order of arrival."""
    names = session.exec(select(Run.team).where(Run.state == RunState.QUEUED.value).distinct().order_by(col(Run.team)))
    return {
        team: [
            (run_id, namespace)
            for run_id, namespace in session.exec(
                select(Run.id, Run.namespace)
                .where(Run.state == RunState.QUEUED.value, Run.team == team, col(Run.cancel_requested_at).is_(None))
                .order_by(col(Run.priority).desc(), col(Run.id))
                .limit(DEPTH)
            )
        ]
        for team in names.all()
    }


def admit_one(session: Session, run_id: str, limits: Limits, now: datetime) -> Admit | Wait | Reject | None:
    """Decide one run and carry it out, all in this transaction; None where it is no longer queued."""
    run = runs.lock(session, run_id)
    if run is None or run.state != RunState.QUEUED.value or run.cancel_requested_at is not None:
        return None
    decision = decide(_candidate(session, run), _situation(session, run, limits, now))
    match decision:
        case Admit():
            _admit(session, run, decision, now)
        case Wait():
            runs.explain(session, run, decision.reason, decision.message)
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
    return decision


def _admit(session: Session, run: Run, decision: Admit, now: datetime) -> None:
    budget = ledger.budget_of(session, run.team)
    assert budget is not None, "a run is admitted against a budget"
    attempt = _attempt(session, run, decision, ledger.open_window(session, budget, now).id, now)
    runs.advance(
        session,
        run,
        RunState.SUBMITTING,
        now=now,
        attempt=attempt.attempt,
        admitted_at=run.admitted_at or now,
        timeout_seconds=decision.timeout_seconds,
        ceiling_micro_usd=decision.reserve,
        not_before=None,
    )
    ledger.reserve(session, attempt, now)


def _attempt(session: Session, run: Run, decision: Admit, window_id: str, now: datetime) -> Attempt:
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
        window_id=window_id,
        admitted_at=now,
    )
    if again:
        session.delete(previous)
        session.flush()
    session.add(attempt)
    session.flush()
    return attempt


def _candidate(session: Session, run: Run) -> Candidate:
    cap = run.max_cost_micro_usd
    if cap is not None and run.attempt:
        cap -= money_of(ledger.of_run(session, run.id)).charged or 0
    return Candidate(run.flavor, run.requested_timeout_seconds, cap, run.output_repo, run.not_before)


def _situation(session: Session, run: Run, limits: Limits, now: datetime) -> Situation:
    team = teams.get(session, run.team)
    budget = ledger.budget_of(session, run.team)
    active = select(func.count()).select_from(Run).where(col(Run.state).in_([state.value for state in ACTIVE]))
    return Situation(
        now=now,
        price_per_minute=flavors.fresh_price(session, run.flavor, now),
        budget=None if budget is None else ledger.balance(budget, ledger.open_window(session, budget, now)),
        active_runs=session.exec(active).one(),
        max_active_runs=limits.max_concurrent_runs,
        team_active_runs=session.exec(active.where(Run.team == run.team)).one(),
        team_max_active_runs=None if team is None else team.max_concurrent_runs,
        output_in_use_by=None if run.output_repo is None else runs.writer_of(session, run.output_repo, run.id),
    )


def _wait(session: Session, run_id: str, wait: Wait) -> None:
    run = runs.lock(session, run_id)
    if run is not None and run.state == RunState.QUEUED.value:
        runs.explain(session, run, wait.reason, wait.message)


def _wait_behind(session: Session, run_id: str, ahead: str) -> None:
    head = runs.get(session, ahead)
    reason = Reason(head.reason) if head is not None and head.reason is not None else Reason.WAITING_FOR_SLOT
    _wait(session, run_id, Wait(reason, f"behind {ahead}, which goes first and waits"))
