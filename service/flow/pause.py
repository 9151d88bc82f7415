"""pause: a person holds a run, and lets it go again.

One that waits keeps its place. The job of one that trains is ended where it can go on from a checkpoint: its minutes
are charged, the rest of its money is free, and resumed it goes on in another job.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from sqlmodel import Session

from service.domain.errors import Conflict
from service.domain.money import MIN_CAPPED_TIMEOUT_SECONDS
from service.domain.run import Reason, RunState
from service.flow.means import means_of
from service.flow.saving import newest_of, rest_of_run
from service.store import holds, runs
from service.store.describe import cost_so_far
from service.store.tables import Attempt, Run

NO_CHECKPOINTS = "it keeps no checkpoints, and would begin anew"
ENDED = "A run that has ended is submitted anew with POST /runs/{id}/retry."
WITHOUT = 'Let it run, or cancel it; a run that is submitted with "checkpoints": "on" can be paused.'
NOT_YET = "no whole checkpoint is there yet, and it would begin anew"


def hold(session: Session, run: Run, by: str, now: datetime) -> None:
    """Pause a run that the caller holds. Raises Conflict where that would lose what it has trained, or is too late."""
    if run.cancel_requested_at is not None:
        raise Conflict("the run is being stopped")
    if run.state not in (RunState.QUEUED, RunState.STARTING, RunState.RUNNING):
        raise Conflict(f"the run is {run.state}", remedy=_later(run))
    if run.state == RunState.RUNNING and newest_of(run) is None:
        keeps = run.bucket is not None
        why = NOT_YET if keeps else NO_CHECKPOINTS
        remedy = "Wait for one (it is looked for each ten seconds), or cancel the run." if keeps else WITHOUT
        raise Conflict(f"pausing it would lose what it has trained: {why}", remedy=remedy)
    if run.state == RunState.RUNNING:
        _refuse_poor(session, run, now)
    _set(session, run, by, now, stop=True)


def _refuse_poor(session: Session, run: Run, now: datetime) -> None:
    """Raise Conflict where the rest of the run's cap would not hold another job: the pause would be its end."""
    attempt = runs.current_attempt(session, run)
    if attempt is None or attempt.started_at is None:
        return
    means = means_of(session, run, attempt, now)
    if means.left is None:
        return
    rest = replace(means, left=means.left - cost_so_far(attempt, now))
    if rest.longest(run.flavor) < MIN_CAPPED_TIMEOUT_SECONDS:
        raise Conflict(
            "the rest of max_cost_usd would not hold another job of five minutes: paused, it could not go on",
            remedy="Let it run, or cancel it.",
        )


def release(session: Session, run: Run, by: str, now: datetime) -> None:
    """Let a paused run go. Raises Conflict for one that has ended, or is being stopped."""
    if run.cancel_requested_at is not None:
        raise Conflict("the run is being stopped")
    if (run.paused_at is None and run.state != RunState.QUEUED) or RunState(run.state).is_terminal:
        is_over = RunState(run.state).is_terminal
        remedy = ENDED if is_over else "It goes on already: there is nothing to resume."
        raise Conflict(f"the run is {run.state}, and not paused", remedy=remedy)
    _set(session, run, by, now, stop=False)


def go_back(session: Session, run: Run, attempt: Attempt, now: datetime) -> bool:
    """running or starting -> queued: its job has ended for the pause, or for one that was taken back meanwhile."""
    rest = None if attempt.started_at is None else rest_of_run(run, attempt)
    told = "it begins anew" if rest is None else f"it goes on {rest.note}"
    attempt.change = f"paused; {told}"
    session.add(attempt)
    means = means_of(session, run, attempt, now)
    if attempt.started_at is not None and means.refusal(run.flavor) is not None:
        # its timeout and its cap fitted together; now a part of the cap is spent
        run.requested_timeout_seconds = max(MIN_CAPPED_TIMEOUT_SECONDS, means.longest(run.flavor))
        session.add(run)
    is_paused = run.paused_at is not None
    return runs.advance(
        session,
        run,
        RunState.QUEUED,
        now=now,
        reason=Reason.PAUSED if is_paused else Reason.CHECKING,
        message=f"paused by {run.paused_by}: resumed, {told}" if is_paused else f"queued again; {told}",
    )


def _set(session: Session, run: Run, by: str, now: datetime, *, stop: bool) -> None:
    before = {"paused": run.paused_at is not None, "paused_by": run.paused_by}
    run.paused_at, run.paused_by = (now, by) if stop else (None, None)
    after = {"paused": stop, "paused_by": run.paused_by}
    session.add(run)
    if run.state == RunState.QUEUED:
        holds.say(session, run)
    else:
        session.flush()
        runs.explain(session, run, Reason.PAUSED if stop else None, "its job is being stopped" if stop else "training")
    runs.tell_of_change(session, run, "run.paused" if stop else "run.resumed", by, before, after, now)


def _later(run: Run) -> str:
    if run.state == RunState.SUBMITTING:
        return "Its job is being made: pause it in a moment."
    return ENDED
