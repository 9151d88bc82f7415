"""What jobs posted to their callback URLs, until it is taken in."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import delete, func
from sqlmodel import Session, col, select

from service.store.tables import Attempt, Report


def add(session: Session, attempt: Attempt, numbers: Mapping[str, object], now: datetime) -> None:
    """Keep one report of an attempt's job."""
    session.add(Report(run_id=attempt.run_id, attempt=attempt.attempt, numbers=dict(numbers), at=now))


def count(session: Session, attempt: Attempt) -> int:
    """How many of an attempt are not taken in yet."""
    return session.exec(select(func.count()).select_from(Report).where(*_of(attempt))).one()


def reporting(session: Session) -> set[tuple[str, int]]:
    """The attempts, by run and number, that have some."""
    return set(session.exec(select(Report.run_id, Report.attempt).distinct()).all())


def take(session: Session, attempt: Attempt) -> list[Report]:
    """All of an attempt in order; they are gone with this transaction."""
    found = list(session.exec(select(Report).where(*_of(attempt)).order_by(col(Report.id))))
    if found:
        session.exec(delete(Report).where(col(Report.id).in_([report.id for report in found])))
    return found


def _of(attempt: Attempt) -> tuple[bool, bool]:
    return Report.run_id == attempt.run_id, Report.attempt == attempt.attempt
