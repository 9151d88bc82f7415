"""What makes runs by itself, whatever its kind: where it is found, how many runs it may have, when it stops."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import exists
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import Select

from service.domain.errors import Conflict
from service.domain.run import RunState
from service.store import events
from service.store.tables import Origin, Run, Schedule, Sweep, Trigger

WAITING = RunState.QUEUED.value
# What an origin is by its kind: found together with it.
Kind = TypeVar("Kind", Schedule, Trigger, Sweep)


def limits(session: Session) -> dict[str, int]:
    """How many runs may be active at once of each origin that has such a limit and that there are queued runs of."""
    has_queued = exists().where(col(Run.origin) == Origin.id, col(Run.state) == WAITING)
    rows = session.exec(
        select(Origin.id, Origin.max_concurrent_runs).where(col(Origin.max_concurrent_runs).is_not(None), has_queued)
    )
    return {origin_id: most for origin_id, most in rows if most is not None}


def get(session: Session, kind: type[Kind], origin_id: str) -> tuple[Origin, Kind] | None:
    """One that is there: not taken away. A sweep stays when it has ended."""
    return session.exec(_there(kind).where(Origin.id == origin_id)).first()


def lock(session: Session, kind: type[Kind], origin_id: str) -> tuple[Origin, Kind] | None:
    """The same, held until the transaction ends."""
    session.get(Origin, origin_id, with_for_update=True)
    return session.exec(_there(kind).where(Origin.id == origin_id).execution_options(populate_existing=True)).first()


def every(session: Session, kind: type[Kind], team: str | None = None) -> list[tuple[Origin, Kind]]:
    """All of a team's; with None all teams'."""
    query = _there(kind)
    return list(session.exec(query if team is None else query.where(Origin.team == team)))


def page(
    session: Session, kind: type[Kind], team: str | None, after: str | None, limit: int
) -> list[tuple[Origin, Kind]]:
    """A team's, newest first; with None all teams'."""
    query = _there(kind)
    if team is not None:
        query = query.where(Origin.team == team)
    if after is not None:
        query = query.where(col(Origin.id) < after)
    return list(session.exec(query.order_by(col(Origin.id).desc()).limit(limit)))


def _there(kind: type[Kind]) -> Select[Origin, Kind]:
    query = select(Origin, kind).join(kind, col(kind.id) == Origin.id)
    return query if kind is Sweep else query.where(col(Origin.ended_at).is_(None))


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
