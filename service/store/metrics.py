"""The numbers of a training as a series, and what its machine used beside."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func
from sqlmodel import Session, col, select

from service.domain.progress import Point
from service.store.tables import Attempt, MetricPoint

# So many points of a training are kept one by one, further ones only now and then: a chart shows no more.
MOST_POINTS = 20_000
THEN_EVERY = 20
# Of so many jobs the series go in one transaction.
AT_ONCE = 20
# JSON has no NaN: the names of numbers that were none.
NOT_FINITE = "not_finite"


def add(session: Session, attempt: Attempt, points: Sequence[Point]) -> None:
    """Add points at the end of an attempt's series."""
    for point in points:
        attempt.metric_points += 1
        if point.kind == "train" and attempt.metric_points > MOST_POINTS and attempt.metric_points % THEN_EVERY:
            continue
        numbers: dict[str, Any] = {**point.numbers}
        if point.not_finite:
            numbers[NOT_FINITE] = list(point.not_finite)
        _put(session, attempt, point.kind, point.step, point.at, numbers)


def add_machine(session: Session, attempt: Attempt, numbers: dict[str, float], at: datetime) -> None:
    """Add what the machine used at a moment."""
    attempt.metric_points += 1
    _put(session, attempt, "machine", None, at, numbers)


def drop_old(session: Session, before: datetime) -> int:
    """Let the series of jobs that ended before a moment go, the oldest first; of how many jobs, a few at once."""
    old = session.exec(
        select(Attempt)
        .where(col(Attempt.finished_at) < before, Attempt.metric_points > 0)
        .order_by(col(Attempt.finished_at))
        .limit(AT_ONCE)
    ).all()
    for attempt in old:
        session.execute(
            delete(MetricPoint).where(
                col(MetricPoint.run_id) == attempt.run_id, col(MetricPoint.attempt) == attempt.attempt
            )
        )
        attempt.metric_points = 0
        session.add(attempt)
    return len(old)


def _put(
    session: Session, attempt: Attempt, kind: str, step: int | None, at: datetime | None, numbers: dict[str, Any]
) -> None:
    session.add(
        MetricPoint(
            run_id=attempt.run_id,
            attempt=attempt.attempt,
            number=attempt.metric_points,
            kind=kind,
            step=step,
            at=at,
            numbers=numbers,
        )
    )


def read(session: Session, run_id: str, attempt: int, kinds: Sequence[str], most: int) -> list[MetricPoint]:
    """The series, thinned evenly to no more than so many points; the last one is always there."""
    mine = (
        col(MetricPoint.run_id) == run_id,
        col(MetricPoint.attempt) == attempt,
        col(MetricPoint.kind).in_(kinds),
    )
    count = session.exec(select(func.count()).select_from(MetricPoint).where(*mine)).one()
    points = list(session.exec(select(MetricPoint).where(*mine).order_by(col(MetricPoint.number))))
    every = -(-count // most) if count > most else 1
    return points[::-1][::every][::-1]
