"""watch: what became of the jobs. One list per place tells of all that are active; a job that has left the list
is asked for by its id, which is the truth.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial

import structlog
from sqlmodel import Session, col

from service.domain.job import LABEL_INSTALLATION
from service.domain.place import Place
from service.domain.run import RunState
from service.flow.each import beside
from service.flow.gate import Gate
from service.flow.settle import settle_one, start
from service.hub.faults import HubFault
from service.hub.models import Job, JobPhase
from service.store import holds, jobs, runs
from service.store.tables import Attempt, Run

log = structlog.get_logger()


def run_once(gate: Gate) -> int:
    """Observe every active job once; how many runs moved."""
    with gate.db.read() as session:
        places = jobs.active_places(session)
    # a restored backup may name a job that a later one has followed: the sweep comes first
    return sum(_watch_place(gate, place) for place in places if gate.start.lets(place))


def _watch_place(gate: Gate, place: Place) -> int:
    asked_at = gate.clock()
    with gate.db.read() as session:
        watched = jobs.watched(session, place)
    try:
        hub = gate.hub_of(place.credentials)
        if not hub.governor.may_list(place.namespace, asked_at):
            return 0  # its lists are long, or the rest of this rate-limit window is kept for submissions and cancels
        listed = hub.list_jobs(place.namespace, {LABEL_INSTALLATION: gate.installation}, only_active=True)
    except HubFault as error:
        log.warning("watch_failed", namespace=place.namespace, team=place.credentials, problem=error.message)
        return 0
    if (seconds := hub.governor.list_seconds(gate.clock())) > 0:
        log.info("lists_stretched", namespace=place.namespace, team=place.credentials, seconds=round(seconds, 1))
    by_id = {job.id: job for job in listed}
    news = [one.run_id for one in watched if _is_news(one, one.is_seen, by_id.get(one.hub_job_id or ""), asked_at)]
    with gate.db.read() as session:
        found = jobs.with_attempts(session, news)
    works = [
        (run.id, partial(_watch_one, gate, run, attempt, by_id.get(attempt.hub_job_id or ""), asked_at))
        for run, attempt in found
    ]
    return sum(map(bool, beside("watch", gate.width, works)))


def _watch_one(gate: Gate, run: Run, attempt: Attempt, listed: Job | None, asked_at: datetime) -> bool:
    """`asked_at`: when the list was asked for. A list lags behind: no job is stopped on its word, nor missed."""
    try:
        if listed is not None and not listed.phase.is_final and not _is_late(run, listed, asked_at):
            return observe(gate, run, attempt, listed, asked_at)
        return look(gate, run, attempt)
    except HubFault as error:
        log.warning("watch_failed", run_id=run.id, problem=error.message)
        return False


def look(gate: Gate, run: Run, attempt: Attempt) -> bool:
    """Ask for one job by its id, and settle its run if it has ended; whether the run moved. Raises HubFault."""
    assert attempt.hub_job_id is not None, "an active run has its job"
    hub = gate.hub_of(run.credentials)
    if not hub.governor.may_poll(gate.clock()):
        return False  # it is settled when there are calls again: the rest is for submissions and cancels
    asked_at, tick = gate.clock(), gate.monotonic()
    job = hub.get_job(run.namespace, attempt.hub_job_id)
    if job is not None and not job.phase.is_final:
        return observe(gate, run, attempt, job, asked_at)
    if job is None and _may_be_shown_yet(gate, attempt, tick):
        return False
    gate.unseen_since.pop(attempt.submission, None)
    return settle_one(gate, run, attempt, job)


def _may_be_shown_yet(gate: Gate, attempt: Attempt, tick: float) -> bool:
    """Whether a job that is nowhere to be seen was made so lately that it may yet show up. This process waits in full
    from its own first look: the wall clock may have been set forward since the job was made."""
    if attempt.is_seen:
        return False
    waited = tick - gate.unseen_since.setdefault(attempt.submission, tick)
    return waited < gate.limits.listing_lag.total_seconds()


def _is_news(run: Run | jobs.Watched, is_seen: bool, job: Job | None, asked_at: datetime) -> bool:
    """Whether a list tells of a job what nobody knew; None: it is not listed."""
    if job is None or job.phase.is_final or not is_seen or _is_late(run, job, asked_at):
        return True
    return run.state == RunState.STARTING and (job.phase is JobPhase.RUNNING or _says(job) != run.message)


def _says(job: Job) -> str:
    return f"waiting for hardware: {job.message}" if job.message else "waiting for hardware"


def _is_late(run: Run | jobs.Watched, job: Job, asked_at: datetime) -> bool:
    """Whether a job still waited for hardware when its run was to have started."""
    is_wanted = run.state == RunState.STARTING and run.cancel_requested_at is None
    return is_wanted and job.phase is JobPhase.WAITING and run.start_before is not None and run.start_before <= asked_at


def observe(gate: Gate, run: Run, attempt: Attempt, job: Job, asked_at: datetime) -> bool:
    """A job that is still going, as it was at `asked_at`: note its start, or that it has come too late. Nothing is
    written where nothing is new."""
    if not _is_news(run, attempt.is_seen, job, asked_at):
        return False
    return gate.write(partial(_note, loaded=attempt, job=job, asked_at=asked_at, now=gate.clock()))


def _note(session: Session, loaded: Attempt, job: Job, asked_at: datetime, now: datetime) -> bool:
    if (found := runs.lock_submission(session, loaded.run_id, loaded.submission)) is None:
        return False
    run, attempt = found
    attempt.is_seen = True
    session.add(attempt)
    if run.state != RunState.STARTING:
        return False
    if job.phase is not JobPhase.RUNNING:
        runs.explain(session, run, None, _says(job))
        return _is_late(run, job, asked_at) and bool(holds.stop_late(session, col(Run.id) == run.id, asked_at))
    return start(session, run, attempt, job.started_at or now, now)
