"""Queued runs that preflight has yet to look at."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, update
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, exists, select

from service.domain.run import RunState
from service.store import parked
from service.store.tables import Run

# What was seen so long ago may have changed: a run that still waits then is looked at again.
GOOD_FOR = timedelta(hours=24)
# made once: an alias brings a copy of every column along
_ABOVE = aliased(Run)


def due(session: Session, now: datetime, limit: int) -> list[Run]:
    """The runs to check next, in the order in which they would start. A pilot comes after its run: that may fail by
    what is found, or be answered with the model of an earlier one, and needs no pilot then."""
    query = (
        select(Run)
        .where(Run.state == RunState.QUEUED.value, col(Run.checked_at).is_(None))
        .where(col(Run.cancel_requested_at).is_(None))
        .where(col(Run.parked).is_(None) | col(Run.parked).not_in(parked.FIRST))  # there is nothing to look at yet
        .where((col(Run.kind).is_(None)) | (col(Run.kind) != "pilot") | ~_has_unchecked_parent())
        .where(col(Run.check_again_at).is_(None) | (col(Run.check_again_at) <= now))
        .order_by(col(Run.checked_at), col(Run.rank), col(Run.id))  # as the index has them
        .limit(limit)
    )
    return list(session.exec(query))


def _has_unchecked_parent() -> ColumnElement[bool]:
    is_queued = col(_ABOVE.state) == RunState.QUEUED.value
    return exists().where(col(_ABOVE.id) == col(Run.parent), is_queued, col(_ABOVE.checked_at).is_(None))


def same_before(session: Session, run: Run, fingerprint: str) -> Run | None:
    """The last run of the team that had the same inputs and succeeded with a model, at a commit."""
    return session.exec(
        select(Run)
        .where(Run.team == run.team, Run.fingerprint == fingerprint, Run.state == RunState.SUCCEEDED.value)
        .where(col(Run.output)["revision"].as_string().is_not(None))
        .order_by(col(Run.id).desc())
        .limit(1)
    ).first()


def forget_old(session: Session, now: datetime) -> None:
    """Have those looked at again that were checked long ago and have not started."""
    session.execute(
        update(Run).where(_is_old(now)).values(checked_at=None).execution_options(synchronize_session=False)
    )


def are_any_old(session: Session, now: datetime) -> bool:
    """Whether `forget_old` would find any."""
    return bool(session.exec(select(exists().where(_is_old(now)))).one())


def _is_old(now: datetime) -> ColumnElement[bool]:
    return (col(Run.state) == RunState.QUEUED.value) & (col(Run.checked_at) < now - GOOD_FOR)
