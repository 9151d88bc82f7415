"""pause: a person holds a run, and lets it go again.

One that waits keeps its place. The job of one that trains is ended where it can go on from a checkpoint: its minutes
are charged, the rest of its money is free, and resumed it goes on in another job.
"""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session

from service.domain.errors import Conflict
from service.domain.repair.resume import Rest, rest_of
from service.domain.run import Reason, RunState
from service.flow.saving import bucket_in, newest_in
from service.store import holds, runs
from service.store.tables import Attempt, Run

NO_CHECKPOINTS = "it keeps no checkpoints, and would begin anew"
NOT_YET = "no whole checkpoint is there yet, and it would begin anew"


def hold(session: Session, run: Run, by: str, now: datetime) -> None:
    """Pause a run that the caller holds. Raises Conflict where that would lose what it has trained, or is too late."""
    if run.cancel_requested_at is not None:
        raise Conflict("the run is being stopped")
    if run.state not in (RunState.QUEUED, RunState.STARTING, RunState.RUNNING):
        raise Conflict(f"the run is {run.state}", remedy=_later(run))
    if run.state == RunState.RUNNING and newest_in(run.saved) is None:
        why = NO_CHECKPOINTS if bucket_in(run.saved) is None else NOT_YET
        raise Conflict(f"pausing it would lose what it has trained: {why}", remedy="Wait for it, or cancel the run.")
    _set(session, run, by, now, stop=True)


def release(session: Session, run: Run, by: str, now: datetime) -> None:
    """Let a paused run go. Raises Conflict for one that has ended, or is being stopped."""
    if run.cancel_requested_at is not None:
        raise Conflict("the run is being stopped")
    if (run.paused_at is None and run.state != RunState.QUEUED) or RunState(run.state).is_terminal:
        raise Conflict(f"the run is {run.state}, and not paused")
    _set(session, run, by, now, stop=False)


def go_back(session: Session, run: Run, attempt: Attempt, now: datetime) -> bool:
    """running or starting -> queued: its job has ended for the pause, or for one that was taken back meanwhile."""
    newest = newest_in(run.saved)
    rest = None if attempt.started_at is None or newest is None else _rest(run, attempt)
    told = "it begins anew" if rest is None else f"it goes on {rest.note}"
    attempt.change = f"paused; {told}"
    session.add(attempt)
    is_paused = run.paused_at is not None
    return runs.advance(
        session,
        run,
        RunState.QUEUED,
        now=now,
        reason=Reason.PAUSED if is_paused else Reason.CHECKING,
        message=f"paused by {run.paused_by}: resumed, {told}" if is_paused else f"queued again; {told}",
    )


def _rest(run: Run, attempt: Attempt) -> Rest:
    newest = newest_in(run.saved)
    assert newest is not None
    seconds, price = (attempt.running_ms or 0) / 1000, attempt.price_per_minute_micro_usd
    return rest_of(newest, run.progress, seconds, attempt.from_step, price)


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


def _later(run: Run) -> str | None:
    return "Its job is being made: pause it in a moment." if run.state == RunState.SUBMITTING else None
