"""cancel: what someone wants stopped is stopped, and called cancelled only once it is.

Without a job that is a change of our own rows. With one, Hugging Face is asked again and again until `watch` sees a
terminal stage. Jobs that waited too long for hardware are ended the same way, and their runs queued again, as are those
of runs that were paused; and those that a guard has found to go wrong, whose runs have failed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

import structlog
from sqlmodel import Session, col

from service.domain.run import RunState
from service.flow.each import beside, each
from service.flow.gate import Gate
from service.flow.submit import go_back
from service.hub.faults import HubFault
from service.store import cancels, runs
from service.store.tables import Attempt, Run

log = structlog.get_logger()
BATCH = 1000
TOGETHER = 100

# A cancel may be lost: it is asked for again after this long; one that was not taken, soon.
ASK_AGAIN = timedelta(seconds=30)
ASK_AGAIN_AFTER_FAULT = timedelta(seconds=3)


def run_once(gate: Gate) -> int:
    """Carry out what was asked for; how many runs or jobs were stopped."""
    with gate.db.read() as session:
        unwanted = cancels.requested(session, BATCH)
        starting = runs.in_states(session, [RunState.STARTING], BATCH)
        is_held = col(Attempt.stopped_by).is_not(None) | col(Run.paused_at).is_not(None)
        held = runs.in_states(session, [RunState.STARTING, RunState.RUNNING], BATCH, is_held)
    queued = [run.id for run, _ in unwanted if run.state == RunState.QUEUED]
    stopped = 0
    for first in range(0, len(queued), TOGETHER):  # a kill switch may mean thousands
        work = partial(_cancel_queued, run_ids=queued[first : first + TOGETHER], now=gate.clock())
        stopped += each("cancel", queued[first], partial(gate.write, work)) or 0
    works = [
        (run.id, partial(_cancel_one, gate, run, attempt)) for run, attempt in unwanted if run.state != RunState.QUEUED
    ]
    works += [
        (run.id, partial(_cancel_job, gate, run, attempt)) for run, attempt in held if run.cancel_requested_at is None
    ]
    works += [
        (run.id, partial(_cancel_job, gate, run, attempt))
        for run, attempt in starting
        if run.cancel_requested_at is None and _waited_too_long(gate, run, attempt)
    ]
    return stopped + sum(map(bool, beside("cancel", gate.width, works)))


def _cancel_one(gate: Gate, run: Run, attempt: Attempt | None) -> bool:
    match RunState(run.state):
        case RunState.SUBMITTING if attempt is not None and attempt.called_at is None:
            if not gate.start.lets(run.place):
                return False  # a restored backup may not know that it was called: the sweep comes first
            return gate.write(partial(_cancel_uncalled, loaded=attempt, now=gate.clock()))
        case RunState.STARTING | RunState.RUNNING if attempt is not None:
            return _cancel_job(gate, run, attempt)
    return False  # a create call is open: `submit` or `recover` will know whether there is a job to stop


def _cancel_job(gate: Gate, run: Run, attempt: Attempt) -> bool:
    if attempt.cancel_again_at is not None and gate.clock() < attempt.cancel_again_at:
        return False
    assert attempt.hub_job_id is not None, "an active run has its job"
    # Noted first: a stage CANCELED that nobody here asked for means something else.
    gate.write(partial(_note_cancel, loaded=attempt, now=gate.clock(), pause=ASK_AGAIN))
    try:
        gate.hub_of(run.credentials).cancel_job(run.namespace, attempt.hub_job_id)
    except HubFault as error:
        log.warning("cancel_failed", run_id=run.id, hub_job_id=attempt.hub_job_id, problem=error.message)
        gate.write(partial(_note_cancel, loaded=attempt, now=gate.clock(), pause=ASK_AGAIN_AFTER_FAULT))
        return False
    log.info("cancel_sent", run_id=run.id, hub_job_id=attempt.hub_job_id)
    return True


def _cancel_queued(session: Session, run_ids: Sequence[str], now: datetime) -> int:
    stopped = 0
    for run_id in run_ids:
        run = runs.lock(session, run_id)
        if run is not None and run.state == RunState.QUEUED:
            stopped += runs.advance(
                session, run, RunState.CANCELLED, now=now, reason=cancels.why(run), message=run.cancel_message
            )
    return stopped


def _cancel_uncalled(session: Session, loaded: Attempt, now: datetime) -> bool:
    found = runs.lock_submission(session, loaded.run_id, loaded.submission)
    if found is None or found[1].called_at is not None:
        return False
    return go_back(session, found[1], None, now)


def _note_cancel(session: Session, loaded: Attempt, now: datetime, pause: timedelta) -> None:
    if (found := runs.lock_submission(session, loaded.run_id, loaded.submission)) is not None:
        _, attempt = found
        attempt.cancel_sent_at = now
        attempt.cancel_again_at = now + pause
        session.add(attempt)


def _waited_too_long(gate: Gate, run: Run, attempt: Attempt) -> bool:
    if run.recipe.get("kind") == "adopted":
        return False  # it could not be queued again: what it trains is not known
    return attempt.scheduled_at is not None and gate.clock() - attempt.scheduled_at > gate.limits.max_scheduling
