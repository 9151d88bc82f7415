"""What makes runs by itself, whatever its kind: where it is found, how many runs it may have, when it stops."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import exists
from sqlmodel import Session, col, select

from service.domain.errors import Conflict
from service.domain.run import RunState
from service.store import events
from service.store.tables import Origin, Run

WAITING = RunState.QUEUED.value


def limits(session: Session) -> dict[str, int]:
    """How many runs may be active at once of each origin that has such a limit and that there are queued runs of."""
    has_queued = exists().where(col(Run.origin) == Origin.id, col(Run.state) == WAITING)
    rows = session.exec(
        select(Origin.id, Origin.max_concurrent_runs).where(col(Origin.max_concurrent_runs).is_not(None), has_queued)
    )
    return {origin_id: most for origin_id, most in rows if most is not None}


def lock(session: Session, origin_id: str) -> Origin | None:
    """One that is there, held until the transaction ends."""
    origin = session.get(Origin, origin_id, with_for_update=True, populate_existing=True)
    return None if origin is None or origin.ended_at is not None else origin


def refuse_taken(session: Session, team: str, name: str, but: str | None = None) -> None:
    """Raise Conflict where the team has another origin of this name."""
    same = select(Origin).where(Origin.team == team, Origin.name == name, col(Origin.ended_at).is_(None))
    found = session.exec(same).first()
    if found is not None and found.id != but:
        raise Conflict(
            f"the team has a {found.kind} '{name}' already",
            field="name",
            remedy=f"Take another name; it is {found.id}.",
        )


def open_runs(session: Session, origin_id: str) -> Sequence[Run]:
    """Its runs that have not ended, the oldest first; without those that belong to another one of them."""
    return session.exec(
        select(Run)
        .where(col(Run.origin) == origin_id, col(Run.finished_at).is_(None), col(Run.parent).is_(None))
        .order_by(col(Run.id))
    ).all()


def tell(session: Session, origin: Origin, event_type: str, now: datetime, **data: Any) -> None:
    """An event of it; whoever calls holds it."""
    origin.sequence += 1
    session.add(origin)
    told = {"id": origin.id, "name": origin.name, "team": origin.team, **data}
    events.append(session, origin.id, origin.team, origin.sequence, event_type, told, now)
