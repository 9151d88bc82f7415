"""Buckets of checkpoints: which runs have one still, and which are to be deleted."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from service.domain.run import TERMINAL, RunState
from service.store.tables import Run

ENDED = [state.value for state in TERMINAL]
# made once: an alias brings a copy of every column along
_CHILD = aliased(Run)


def page(session: Session, team: str | None, after: str | None, limit: int) -> list[Run]:
    """Runs that have a bucket, newest first, those older than the run `after`."""
    query = select(Run).where(col(Run.bucket).is_not(None)).order_by(col(Run.id).desc()).limit(limit)
    if team is not None:
        query = query.where(Run.team == team)
    if after is not None:
        query = query.where(Run.id < after)
    return list(session.exec(query))


def to_delete(session: Session, before: datetime, limit: int) -> list[Run]:
    """Runs whose bucket is to go: of a success, of one that ended before then, or as a person wants. Not one that a
    child run reads from, yet."""
    is_read = select(_CHILD.id).where(_CHILD.parent == Run.id, col(_CHILD.state).not_in(ENDED)).exists()
    is_over = (col(Run.state) == RunState.SUCCEEDED.value) | (col(Run.finished_at) <= before)
    is_due = col(Run.finished_at).is_not(None) & (is_over | col(Run.unwanted_at).is_not(None))
    query = select(Run).where(col(Run.bucket).is_not(None), is_due, ~is_read).order_by(col(Run.id)).limit(limit)
    return list(session.exec(query))
