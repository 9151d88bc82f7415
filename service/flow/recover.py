"""recover: create calls whose outcome is open are cleared up, by finding the job or by proving that there is none.

A call is open when its answer was lost, or when the process that made it died. Its job carries the submission as a
label: found, it is adopted. Absent is proven only by three complete, error-free listings without a stage filter, the
last at least `listing_lag` after the call's deadline (assumption A: by then an accepted job is listed).
Until one of the two is certain, the money stays reserved and nothing is submitted again.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import structlog
from sqlmodel import Session, col

from service.domain.job import LABEL_RUN, LABEL_SUBMISSION
from service.domain.place import Place
from service.domain.run import RunState
from service.domain.stray import DUPLICATED, Kind
from service.flow.each import each
from service.flow.gate import Gate
from service.flow.strays import finding, note
from service.flow.submit import LOST_ANSWER, go_back, take_job
from service.hub.faults import HubFault
from service.hub.models import Job
from service.store import runs
from service.store.tables import Attempt, Run

log = structlog.get_logger()
LISTINGS_FOR_PROOF = 3
MOST = 20_000
PATIENCE = 3

# A call of this process ends by its deadline; one that has not said so long after is taken for open.
OVERDUE = timedelta(seconds=60)


@dataclass(frozen=True)
class Asked:
    """When a listing was asked for, by both clocks. Its answer tells of no later moment, however late it comes."""

    at: datetime
    tick: float


def run_once(gate: Gate) -> int:
    """Look once for the job of every open call; how many runs were cleared up."""
    with gate.db.read() as session:
        called = runs.in_states(session, [RunState.SUBMITTING], MOST, col(Attempt.called_at).is_not(None))
    by_place: dict[Place, list[tuple[Run, Attempt]]] = defaultdict(list)
    for run, attempt in called:
        if is_open(gate, attempt):
            by_place[run.place].append((run, attempt))
    return sum(_recover_place(gate, opened) for opened in by_place.values())


def _recover_place(gate: Gate, opened: list[tuple[Run, Attempt]]) -> int:
    """Where listings fail one after the other, the rest waits for the next pass: other places' calls go first."""
    moved = failed = 0
    for run, attempt in opened:
        asked = Asked(gate.clock(), gate.monotonic())
        listed = each("recover", run.id, partial(_list, gate, run))
        failed = failed + 1 if listed is None else 0
        if listed is not None:
            moved += bool(each("recover", run.id, partial(_clear_up, gate, run, attempt, listed, asked)))
        if failed == PATIENCE:
            break
    return moved


def is_open(gate: Gate, attempt: Attempt) -> bool:
    """Whether a create call was made and nobody is waiting for its answer any more."""
    if attempt.called_at is None or attempt.call_deadline is None:
        return False
    is_overdue = gate.clock() > attempt.call_deadline + OVERDUE
    return attempt.is_unclear or attempt.called_by != gate.boot or is_overdue


def _list(gate: Gate, run: Run) -> list[Job] | None:
    """Every job of a run; None where Hugging Face does not say."""
    try:
        return gate.hub_of(run.credentials).list_jobs(run.namespace, {LABEL_RUN: run.id})
    except HubFault as error:
        log.info("recover_listing_failed", run_id=run.id, problem=error.message)
        return None


def _clear_up(gate: Gate, run: Run, attempt: Attempt, listed: list[Job], asked: Asked) -> bool:
    """What one listing says of one open call. False: it is not cleared up yet."""
    mine = sorted(
        (job for job in listed if job.labels.get(LABEL_SUBMISSION) == attempt.submission),
        key=lambda job: (job.created_at or gate.clock(), job.id),
    )
    if not mine:
        return gate.write(partial(_note_absence, gate=gate, loaded=attempt, asked=asked, now=gate.clock()))
    oldest, *others = mine
    moved = gate.write(partial(take_job, gate=gate, loaded=attempt, job=oldest, now=gate.clock()))
    gate.open_since.pop(attempt.submission, None)
    log.info("job_adopted", run_id=run.id, attempt=attempt.attempt, hub_job_id=oldest.id)
    for other in others:
        # Two answers to one call were not promised, so a second job may exist. The sweep asks again until it has ended.
        kind = Kind.SECOND_JOB if other.initiator_type != DUPLICATED else Kind.STARTED_BY_JOB
        note(gate, run.place, finding(gate, other, kind, run))
    return moved


def _note_absence(session: Session, gate: Gate, loaded: Attempt, asked: Asked, now: datetime) -> bool:
    if (found := runs.lock_submission(session, loaded.run_id, loaded.submission)) is None:
        return False
    run, attempt = found
    assert attempt.call_deadline is not None
    attempt.absent_listings += 1
    session.add(attempt)
    until = _settled_at(gate, attempt, attempt.call_deadline, asked)
    if attempt.absent_listings < LISTINGS_FOR_PROOF or asked.at < until:
        runs.explain(session, run, None, f"{LOST_ANSWER}; settled soon after {until:%H:%M:%S} UTC if there is none")
        return False
    gate.open_since.pop(attempt.submission, None)
    log.info("job_proven_absent", run_id=run.id, attempt=attempt.attempt, listings=attempt.absent_listings)
    return go_back(session, attempt, None, now)


def _settled_at(gate: Gate, attempt: Attempt, deadline: datetime, asked: Asked) -> datetime:
    """When every job of this call is listed. The wall clock alone may have been set forward since the call, so this
    process waits by a clock of its own as well: from its own call, or from its first look at another process's."""
    waited = asked.tick - gate.open_since.setdefault(attempt.submission, asked.tick)
    remaining = gate.limits.create_timeout + gate.limits.listing_lag - timedelta(seconds=waited)
    return max(deadline + gate.limits.listing_lag, asked.at + remaining)
