"""What the steps look at of all runs with jobs in every pass: columns, not objects, as of thousands most have nothing
new. What there is news of is read whole, by `with_attempts`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select as select_columns
from sqlmodel import Session, col, select

from service.domain.place import Place
from service.domain.run import RunState
from service.store import runs
from service.store.batches import batches
from service.store.current import IS_CURRENT
from service.store.tables import Attempt, Run


@dataclass(frozen=True)
class Watched:
    """A run with a job, as a list of jobs is compared with it."""

    run_id: str
    state: str
    message: str | None
    start_before: datetime | None
    cancel_requested_at: datetime | None
    hub_job_id: str | None
    is_seen: bool


@dataclass(frozen=True)
class Logged:
    """Whose log a running job's is, and when it was last read."""

    run_id: str
    credentials: str | None
    namespace: str
    hub_job_id: str
    read_at: datetime | None
    admitted_at: datetime


def uncalled(session: Session) -> set[str]:
    """Admitted runs whose create call has not been claimed."""
    rows = session.exec(
        select(Run.id)
        .join(Attempt, IS_CURRENT)
        .where(Run.state == RunState.SUBMITTING.value, col(Attempt.called_at).is_(None))
    )
    return set(rows)


def active_places(session: Session) -> list[Place]:
    """Where runs have jobs."""
    has_job = col(Run.state).in_([RunState.STARTING.value, RunState.RUNNING.value])
    return [Place(*row) for row in session.exec(select(Run.credentials, Run.namespace).where(has_job).distinct())]


def watched(session: Session, place: Place) -> list[Watched]:
    """Every run that has a job in a place, longest admitted first."""
    rows = session.execute(
        select_columns(
            col(Run.id),
            col(Run.state),
            col(Run.message),
            col(Run.start_before),
            col(Run.cancel_requested_at),
            col(Attempt.hub_job_id),
            col(Attempt.is_seen),
        )
        .join(Attempt, IS_CURRENT)
        .where(col(Run.state).in_([RunState.STARTING.value, RunState.RUNNING.value]))
        .where(col(Run.credentials) == place.credentials, col(Run.namespace) == place.namespace)
        .order_by(col(Attempt.admitted_at), col(Run.id))
    )
    return [Watched(*row) for row in rows]


def logged(session: Session) -> list[Logged]:
    """Every running run with its job's log, longest admitted first."""
    rows = session.execute(
        select_columns(
            col(Run.id),
            col(Run.credentials),
            col(Run.namespace),
            col(Attempt.hub_job_id),
            col(Attempt.log_read_at),
            col(Attempt.admitted_at),
        )
        .join(Attempt, IS_CURRENT)
        .where(col(Run.state) == RunState.RUNNING.value, col(Attempt.hub_job_id).is_not(None))
        .order_by(col(Attempt.admitted_at), col(Run.id))
    )
    return [Logged(*row) for row in rows]


def of_jobs(session: Session, job_ids: Collection[str]) -> list[tuple[Run, Attempt]]:
    """The running runs that have these jobs, with their attempts."""
    run_ids: list[str] = []
    for ids in batches(job_ids):
        run_ids += session.exec(select(Attempt.run_id).where(col(Attempt.hub_job_id).in_(ids)))
    return [(run, attempt) for run, attempt in with_attempts(session, run_ids) if attempt.hub_job_id in job_ids]


def with_attempts(session: Session, run_ids: Collection[str]) -> list[tuple[Run, Attempt]]:
    """Those of these runs that have a job, with the attempt under way, longest admitted first."""
    found: list[tuple[Run, Attempt]] = []
    for ids in batches(run_ids):
        found += runs.in_states(session, [RunState.STARTING, RunState.RUNNING], len(ids), col(Run.id).in_(ids))
    return found
