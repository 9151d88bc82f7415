"""sweep: the live jobs of each place are compared with our runs, at start and every few minutes.

One list per place, of whatever is live there. A job that no run accounts for is noted with its dollars, and
reported, adopted or cancelled by the rules of `domain.stray`. Before the first comparison, `catch_up` gives the runs of
a restored backup the jobs that it forgot; until that is done, `submit` makes none.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial

import structlog
from sqlmodel import Session

from service.domain.place import Place
from service.domain.run import RunState
from service.domain.stray import Action, Kind, Known, Seen, classify, kept
from service.flow.catch_up import adopt_unknown, catch_up
from service.flow.each import each
from service.flow.gate import Gate
from service.flow.strays import Finding, finding, look_again, note, seen
from service.hub.faults import HubFault
from service.hub.models import Job, JobPhase
from service.store import outside, runs, strays
from service.store.tables import Attempt, Run, Stray

log = structlog.get_logger()


@dataclass(frozen=True)
class Books:
    """What the database knows of some listed jobs: their runs, which jobs runs pay for, and the strays noted so far.
    `elsewhere`: of those runs the ones that another place's sweep looks after, with the tokens that they are of."""

    runs: Mapping[str, tuple[Run, Attempt | None]]
    payers: Mapping[str, str]
    noted: Mapping[str, Stray]
    elsewhere: frozenset[str]


def run_once(gate: Gate) -> int:
    """Look at every place once; how many were cleared for submissions, and strays that are news."""
    with gate.db.read() as session:
        places = strays.places(session) | ({Place(None, gate.namespace)} if gate.namespace else set())
    moved = 0
    if gate.start.unswept is None:
        gate.start.unswept = set(places)
        moved += not places
    for place in sorted(places, key=lambda place: (place.credentials or "", place.namespace)):
        try:
            moved += _sweep(gate, place, places)
        except HubFault as error:
            log.warning("sweep_failed", namespace=place.namespace, team=place.credentials, problem=error.message)
    moved += gate.write(partial(outside.count, now=gate.clock()))
    return moved


def _sweep(gate: Gate, place: Place, places: Collection[Place]) -> int:
    assert gate.start.unswept is not None
    moved, hub = 0, gate.hub_of(place.credentials)
    if place in gate.start.unswept:
        moved += catch_up(gate, place)
        gate.start.unswept.discard(place)
        log.info("start_swept", namespace=place.namespace, team=place.credentials)
        moved += 1
    elif not hub.governor.may_poll(gate.clock()):
        log.info("sweep_skipped", reason="the rest of this rate-limit window is kept for submissions and cancels")
        return moved
    jobs = {job.id: job for job in hub.list_jobs(place.namespace, {}, only_active=True) if not job.phase.is_final}
    # Read after the list was: what a listed job belongs to was committed before the job was made.
    with gate.db.read() as session:
        books = _books(session, place, places, jobs)
    for job, kind in _strays_among(gate, jobs, books):
        moved += bool(each("sweep", job.id, partial(_try_to_deal_with, gate, place, job, kind, books)))
    for row in books.noted.values():
        if strays.place_of(row) == place:
            moved += bool(each("sweep", row.hub_job_id, partial(_follow, gate, row, jobs.get(row.hub_job_id))))
    return moved


def _books(session: Session, place: Place, places: Collection[Place], jobs: Mapping[str, Job]) -> Books:
    every = [seen(job) for job in jobs.values()]
    payers = strays.payers(session, [*jobs, *(one.copy_of for one in every if one.copy_of)])
    named = {one.run_id for one in every if one.run_id} | set(payers.values())
    found = strays.runs_named(session, named)
    elsewhere = frozenset(run.id for run, _ in found.values() if run.place != place and run.place in places)
    return Books(found, payers, strays.open_ones(session, place), elsewhere)


def _strays_among(gate: Gate, jobs: Mapping[str, Job], books: Books) -> list[tuple[Job, Kind]]:
    by_submission: dict[str, list[Seen]] = defaultdict(list)
    for job in jobs.values():
        one = seen(job)
        if one.submission is not None and one.installation == gate.installation:
            by_submission[one.submission].append(one)
    keep = {
        attempt.submission: _keep(gate, run, attempt, by_submission[attempt.submission])
        for run, attempt in books.runs.values()
        if run.id not in books.elsewhere
        and attempt is not None
        and attempt.hub_job_id is not None
        and attempt.submission in by_submission
    }
    found = []
    for job in jobs.values():
        one = seen(job)
        run, attempt = books.runs.get(one.run_id or "", (None, None))
        if run is not None and run.id in books.elsewhere:
            continue
        known = None if run is None else _known(run, attempt)
        kind = classify(one, gate.installation, known, keep.get(one.submission or ""), books.payers)
        if kind is not None:
            found.append((job, kind))
    return found


def _keep(gate: Gate, run: Run, attempt: Attempt, live: list[Seen]) -> str:
    """The job of an attempt that stays, made the attempt's own where it was not."""
    assert attempt.hub_job_id is not None
    keep = kept(attempt.hub_job_id, live)
    if keep == attempt.hub_job_id:
        return keep
    own = gate.hub_of(run.credentials).get_job(run.namespace, attempt.hub_job_id)
    if own is None or own.phase is not JobPhase.WAITING:
        return attempt.hub_job_id
    is_changed = gate.write(partial(_change_job, gate=gate, loaded=attempt, keep=keep))
    return keep if is_changed else attempt.hub_job_id


def _known(run: Run, attempt: Attempt | None) -> Known:
    state = RunState(run.state)
    if attempt is None or state is RunState.QUEUED:
        return Known(state.is_terminal, None, None)
    return Known(state.is_terminal, attempt.submission, attempt.hub_job_id)


def _try_to_deal_with(gate: Gate, place: Place, job: Job, kind: Kind, books: Books) -> bool:
    try:
        return _deal_with(gate, place, job, kind, books)
    except HubFault as error:
        log.warning("stray_not_seen", hub_job_id=job.id, problem=error.message)
        return False  # the next sweep lists it again


def _deal_with(gate: Gate, place: Place, job: Job, kind: Kind, books: Books) -> bool:
    """One stray that was listed. The list may be older than what we know, so a new one is asked for by its id."""
    if job.id in books.noted and not _is_to_change(gate, job, kind, books.noted[job.id]):
        return False  # `_follow` looks at it
    if kind is not Kind.OUTSIDE:
        job = gate.hub_of(place.credentials).get_job(place.namespace, job.id) or job
    if job.phase.is_final and (job.id in books.payers or kind is Kind.UNKNOWN_RUN):
        return False  # the run's own, which ended meanwhile
    label = seen(job)
    run, _ = books.runs.get(books.payers.get(label.copy_of or "") or label.run_id or "", (None, None))
    found = finding(gate, job, kind, run if kind is not Kind.OUTSIDE else None)
    if kind is Kind.UNKNOWN_RUN and found.action is Action.ADOPTED and not adopt_unknown(gate, place, job):
        found = Finding(job, kind, Action.REPORTED, found.run_id, found.team)
    return note(gate, place, found)


def _is_to_change(gate: Gate, job: Job, kind: Kind, row: Stray) -> bool:
    """Whether the policy has become another one since a stray was only reported."""
    return row.action == Action.REPORTED and finding(gate, job, kind, None).action is not Action.REPORTED


def _follow(gate: Gate, row: Stray, listed: Job | None) -> bool:
    """A stray from an earlier sweep: what it cost by now, its cancel again, or its end."""
    try:
        job = listed or gate.hub_of(row.credentials).get_job(row.namespace, row.hub_job_id)
        return look_again(gate, row, job)
    except HubFault as error:
        log.warning("stray_not_seen", hub_job_id=row.hub_job_id, problem=error.message)
        return False


def _change_job(session: Session, gate: Gate, loaded: Attempt, keep: str) -> bool:
    """Of several jobs the oldest stays: it becomes the attempt's own while that one still waits for hardware."""
    if (found := runs.lock_submission(session, loaded.run_id, loaded.submission)) is None:
        return False
    run, attempt = found
    if run.state != RunState.STARTING or attempt.hub_job_id != loaded.hub_job_id:
        return False
    attempt.hub_job_id = keep
    attempt.hub_job_url = gate.hub.job_url(run.namespace, keep)
    session.add(attempt)
    log.warning("oldest_job_kept", run_id=run.id, hub_job_id=keep, instead_of=loaded.hub_job_id)
    return True
