"""Runs that were asked for as fine-tuning jobs: found by what they were asked for, and their numbers by time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, or_
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from service.domain.run import RunState
from service.store import rows
from service.store.tables import Event, FineTuningJob, MetricPoint, Run, SearchTerm

NUMBERS = ("train", "eval")


def insert(session: Session, job: FineTuningJob, metadata: Mapping[str, str]) -> None:
    """A new job, whose run was just made; it is found by its metadata from now on."""
    rows.insert(session, [job])
    rows.insert(
        session, [rows.new(SearchTerm, term=_term(*pair), run_id=job.run_id) for pair in sorted(metadata.items())]
    )


def get(session: Session, run_id: str) -> FineTuningJob | None:
    """What a run was asked for; None where it was not as a job."""
    return session.get(FineTuningJob, run_id)


def page(
    session: Session,
    team: str | None,
    metadata: Mapping[str, str],
    after: str | None,
    limit: int,
    *,
    without_metadata: bool = False,
) -> list[tuple[FineTuningJob, Run]]:
    """Jobs with their runs, newest first, those older than the run `after`; with all of this metadata, or none."""
    query = select(FineTuningJob, Run).join(Run, col(Run.id) == FineTuningJob.run_id)
    for pair in metadata.items():
        found = aliased(SearchTerm)
        query = query.join(found, (col(found.run_id) == FineTuningJob.run_id) & (col(found.term) == _term(*pair)))
    if team is not None:
        query = query.where(FineTuningJob.team == team)
    if without_metadata:
        query = query.where(col(FineTuningJob.has_metadata).is_(False))
    if after is not None:
        query = query.where(FineTuningJob.run_id < after)
    return [(job, run) for job, run in session.exec(query.order_by(col(FineTuningJob.run_id).desc()).limit(limit))]


def succeeded(
    session: Session, team: str | None, after: str | None, limit: int, *, newest_first: bool
) -> list[tuple[FineTuningJob, Run]]:
    """Jobs whose run has succeeded, those beyond the run `after`."""
    run_id = col(FineTuningJob.run_id)
    query = select(FineTuningJob, Run).join(Run, col(Run.id) == FineTuningJob.run_id).limit(limit)
    query = query.where(Run.state == RunState.SUCCEEDED.value).order_by(run_id.desc() if newest_first else run_id)
    if team is not None:
        query = query.where(FineTuningJob.team == team)
    if after is not None:
        query = query.where(run_id < after if newest_first else run_id > after)
    return [(job, run) for job, run in session.exec(query)]


def told_before(
    session: Session, run_id: str, before: tuple[datetime, int | None] | None, limit: int
) -> Sequence[Event]:
    """A run's events, newest first: those before a moment, and of that moment those before a sequence (None: none of
    it)."""
    query = select(Event).where(Event.subject == run_id)
    if before is not None:
        at, sequence = before
        same = _never() if sequence is None else (col(Event.timestamp) == at) & (col(Event.sequence) < sequence)
        query = query.where(or_(col(Event.timestamp) < at, same))
    return session.exec(query.order_by(col(Event.timestamp).desc(), col(Event.sequence).desc()).limit(limit)).all()


def points_before(
    session: Session, run_id: str, before: tuple[datetime, tuple[int, int] | None] | None, limit: int
) -> Sequence[MetricPoint]:
    """A run's numbers, newest first: those before a moment, and of that moment those before a point, by attempt and
    number (None: all of it)."""
    query = select(MetricPoint).where(MetricPoint.run_id == run_id, col(MetricPoint.kind).in_(NUMBERS))
    query = query.where(col(MetricPoint.at).is_not(None))
    at, attempt, number = col(MetricPoint.at), col(MetricPoint.attempt), col(MetricPoint.number)
    if before is not None:
        moment, point = before
        earlier: ColumnElement[bool] = at == moment
        if point is not None:
            earlier = and_(earlier, or_(attempt < point[0], and_(attempt == point[0], number < point[1])))
        query = query.where(or_(at < moment, earlier))
    return session.exec(query.order_by(at.desc(), attempt.desc(), number.desc()).limit(limit)).all()


def numbers_until(session: Session, run_id: str, attempt: int, step: int, kind: str) -> Mapping[str, Any]:
    """The last numbers of a kind that an attempt had at a step, or before it; nothing where there were none."""
    mine = (MetricPoint.run_id == run_id, MetricPoint.attempt == attempt, MetricPoint.kind == kind)
    query = select(MetricPoint).where(*mine, col(MetricPoint.step) <= step)
    found = session.exec(query.order_by(col(MetricPoint.number).desc()).limit(1)).first()
    return {} if found is None else found.numbers


def _term(name: str, value: str) -> str:
    return f"metadata:{name}={value}"


def _never() -> ColumnElement[bool]:
    return col(Event.id).is_(None)
