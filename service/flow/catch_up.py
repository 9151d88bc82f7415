"""catch_up: jobs that the database does not know of, because it was restored from a backup that is older than they are.

Every submission is in the ledger before its create call. A job with our label and a submission that the ledger does
not know was therefore made after the backup, and whatever its run had under way before was over by then: the run takes
that job up, ended or not, and is never submitted again. Where the backup was made between admission and call, the
ledger knows the submission and nobody knows of the call: it is entered as an open one, which `recover` clears up.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

import structlog
from sqlmodel import Session

from service.domain.budget import NEVER
from service.domain.job import LABEL_ATTEMPT, LABEL_INSTALLATION, LABEL_RUN, LABEL_SUBMISSION, LABEL_TEAM
from service.domain.money import ceiling
from service.domain.place import Place
from service.domain.recipe import ADOPTED
from service.domain.run import RunState
from service.domain.stray import DUPLICATED
from service.flow.charge import charge
from service.flow.gate import Gate
from service.flow.submit import take_job
from service.hub.faults import HubUnavailable
from service.hub.models import Job
from service.store import flavors, ledger, runs, strays, teams
from service.store import jobs as store_jobs
from service.store.tables import Attempt, Run

log = structlog.get_logger()

# How far Hugging Face's clock may be from ours: lists are read so much further back than the oldest run.
CLOCKS = timedelta(hours=1)
USUAL_PRIORITY = 50
MAX_ATTEMPT = 1000


def catch_up(gate: Gate, place: Place) -> int:
    """Give the runs of a place the jobs that the database forgot; how many. Raises HubFault where that cannot be
    known just now: then nothing may be submitted there yet."""
    with gate.db.read() as session:
        since = strays.oldest_unfinished(session, place.namespace)
    if since is None:
        return 0
    hub, labels = gate.hub_of(place.credentials), {LABEL_INSTALLATION: gate.installation}
    listed = hub.list_jobs(place.namespace, labels, since=since - CLOCKS)
    by_run: dict[str, list[Job]] = defaultdict(list)
    for job in listed:
        by_run[job.labels.get(LABEL_RUN, "")].append(job)
    with gate.db.read() as session:
        known = strays.submissions_known(session, [job.labels.get(LABEL_SUBMISSION, "") for job in listed])
        uncalled = store_jobs.uncalled(session)
    moved = 0
    for run_id, jobs in by_run.items():
        if run_id in uncalled:  # of thousands of runs with jobs, next to none
            moved += gate.write(partial(_note_call, run_id=run_id, jobs=jobs, now=gate.clock()))
        if (forgotten := _newest_unknown(jobs, known)) is not None:
            work = partial(_give, gate=gate, run_id=run_id, job=forgotten, jobs=jobs, now=gate.clock())
            moved += gate.write(work)
    return moved


def adopt_unknown(gate: Gate, place: Place, job: Job) -> bool:
    """Make a run from the labels of a job whose run the database does not know. False: they do not suffice, or its
    team is not here, or another one's tokens found it."""
    return gate.write(partial(_make_run, gate=gate, place=place, job=job, now=gate.clock()))


def _newest_unknown(jobs: Sequence[Job], known: set[str]) -> Job | None:
    """Of a run's jobs the one made last under a submission that nobody here knows: submissions sort by their time.
    Copies of jobs carry copied labels and are left to the sweep."""
    unknown = [
        job
        for job in jobs
        if job.labels.get(LABEL_SUBMISSION, "").startswith("sub_")
        and job.labels[LABEL_SUBMISSION] not in known
        and job.initiator_type != DUPLICATED
    ]
    newest = max((job.labels[LABEL_SUBMISSION] for job in unknown), default="")
    same = [job for job in unknown if job.labels[LABEL_SUBMISSION] == newest]
    return min(same, key=lambda job: (job.created_at or NEVER, job.id), default=None)


def _note_call(session: Session, run_id: str, jobs: Sequence[Job], now: datetime) -> bool:
    """Enter the create call of an attempt that has a job although the database says that it was never called."""
    run = runs.lock(session, run_id)
    attempt = None if run is None else runs.current_attempt(session, run)
    if run is None or attempt is None or run.state != RunState.SUBMITTING or attempt.called_at is not None:
        return False
    own = [job for job in jobs if job.labels.get(LABEL_SUBMISSION) == attempt.submission]
    if not own:
        return False
    attempt.called_at = attempt.call_deadline = min(job.created_at or now for job in own)
    attempt.is_unclear = True
    session.add(attempt)
    log.warning("forgotten_call_noted", run_id=run.id, attempt=attempt.attempt)
    return True


def _give(session: Session, gate: Gate, run_id: str, job: Job, jobs: Sequence[Job], now: datetime) -> bool:
    run = runs.lock(session, run_id)
    if run is None or run.finished_at is not None:
        return False
    attempt = runs.current_attempt(session, run)
    if run.state != RunState.QUEUED:
        assert attempt is not None, "an active run has its attempt"
        if not _close(session, attempt, jobs, now):
            return False
        runs.advance(session, run, RunState.QUEUED, now=now, message="a later job of it was found")
    log.warning("forgotten_job_adopted", run_id=run.id, hub_job_id=job.id)
    return _take(session, gate, run, job, now)


def _close(session: Session, attempt: Attempt, jobs: Sequence[Job], now: datetime) -> bool:
    """End the attempt of the backup, which was over before the later one began: its job by what it cost, and where
    there is no job, by giving its money back. False: it looks otherwise, and the steps that watch it will know."""
    if attempt.hub_job_id is None:
        if any(job.labels.get(LABEL_SUBMISSION) == attempt.submission for job in jobs):
            return False
        ledger.release(session, attempt, now)
        return True
    own = next((job for job in jobs if job.id == attempt.hub_job_id), None)
    if own is None or not own.phase.is_final:
        return False
    attempt.started_at = own.started_at or attempt.started_at
    charge(session, attempt, own, now)
    session.add(attempt)
    return True


def _take(session: Session, gate: Gate, run: Run, job: Job, now: datetime) -> bool:
    """queued -> submitting -> starting: what admission and the create call had done. The reservation may bring a budget
    over: the money is being spent already."""
    attempt = _attempt(session, run, job, now)
    ledger.reserve(session, attempt, strays.present_windows(session, run, now), now)
    runs.advance(
        session,
        run,
        RunState.SUBMITTING,
        now=now,
        message="its job was found on Hugging Face",
        attempt=attempt.attempt,
        admitted_at=run.admitted_at or now,
        timeout_seconds=attempt.timeout_seconds,
        ceiling_micro_usd=attempt.ceiling_micro_usd,
    )
    return take_job(session, gate, attempt, job, now)


def _attempt(session: Session, run: Run, job: Job, now: datetime) -> Attempt:
    previous = runs.current_attempt(session, run)
    least = run.attempt if previous is not None and previous.hub_job_id is None else run.attempt + 1
    flavor = job.flavor or run.flavor
    timeout_seconds = job.timeout_seconds or run.timeout_seconds or 60
    price = flavors.last_price(session, flavor)
    if price is None and flavors.last_read(session) is None:
        raise HubUnavailable("no prices have been read yet")
    if price is None:  # Hugging Face lists it no more: a run must not hold up all others for that
        price = run.quoted_price_micro_usd or 0
        log.error("price_unknown", run_id=run.id, flavor=flavor, used_micro_usd=price)
    attempt = Attempt(
        run_id=run.id,
        attempt=max(least, _number(job)),
        submission=job.labels[LABEL_SUBMISSION],
        flavor=flavor,
        timeout_seconds=timeout_seconds,
        price_per_minute_micro_usd=price,
        ceiling_micro_usd=ceiling(price, timeout_seconds),
        admitted_at=now,
        called_at=job.created_at or now,
        is_seen=True,
    )
    if previous is not None and previous.attempt == attempt.attempt:
        session.delete(previous)  # it never had a job
        session.flush()
    session.add(attempt)
    session.flush()
    return attempt


def _make_run(session: Session, gate: Gate, place: Place, job: Job, now: datetime) -> bool:
    run_id, team = job.labels.get(LABEL_RUN, ""), job.labels.get(LABEL_TEAM, "")
    submission = job.labels.get(LABEL_SUBMISSION, "")
    if not run_id.startswith("run_") or not submission.startswith("sub_"):
        return False
    if (
        job.flavor is None
        or job.timeout_seconds is None
        or teams.get(session, team) is None
        or place.credentials not in (None, team)
        or runs.get(session, run_id) is not None
    ):
        return False
    if strays.submissions_known(session, [submission]) or flavors.last_price(session, job.flavor) is None:
        return False
    run = Run(
        id=run_id,
        team=team,
        state=RunState.QUEUED.value,
        message="its job was found on Hugging Face",
        requested_by="adopted",
        recipe=ADOPTED,
        flavor=job.flavor,
        requested_timeout_seconds=job.timeout_seconds,
        timeout_seconds=job.timeout_seconds,
        namespace=place.namespace,
        credentials=place.credentials,
        env={},
        secret_names=[],
        priority=USUAL_PRIORITY,
        labels={},
        created_at=job.created_at or now,
    )
    runs.insert(session, run, now)
    log.warning("unknown_run_adopted", run_id=run.id, hub_job_id=job.id, team=team)
    return _take(session, gate, run, job, now)


def _number(job: Job) -> int:
    text = job.labels.get(LABEL_ATTEMPT, "")
    return min(int(text), MAX_ATTEMPT) if text.isdecimal() and len(text) < 9 else 1
