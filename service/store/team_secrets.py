"""Teams' named secrets, and which runs refer to them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlmodel import Session, col, select

from service.domain.run import LIVE
from service.store.tables import Run, TeamSecret


def get(session: Session, team: str, name: str) -> TeamSecret | None:
    """One secret."""
    return session.get(TeamSecret, (team, name))


def every(session: Session, team: str) -> list[TeamSecret]:
    """A team's, by name."""
    return list(session.exec(select(TeamSecret).where(TeamSecret.team == team).order_by(col(TeamSecret.name))))


def named(session: Session, team: str, names: Collection[str], *, hold: bool = False) -> dict[str, TeamSecret]:
    """Those of these names that the team has; `hold`: nobody takes one away before the transaction ends."""
    query = select(TeamSecret).where(TeamSecret.team == team, col(TeamSecret.name).in_(set(names)))
    query = query.order_by(col(TeamSecret.name))
    rows = session.exec(query.with_for_update(read=True) if hold else query)
    return {row.name: row for row in rows}


def held(session: Session, team: str, name: str) -> TeamSecret | None:
    """One as it stands now, held for a change."""
    return session.get(TeamSecret, (team, name), with_for_update=True, populate_existing=True)


def put(session: Session, team: str, name: str, sealed_value: bytes, by: str, now: datetime) -> tuple[TeamSecret, bool]:
    """Keep a value in place of the one before; whether there was none. The caller holds the team's row."""
    row = get(session, team, name)
    is_new = row is None
    row = row or TeamSecret(
        team=team, name=name, sealed_value=b"", created_at=now, created_by=by, updated_at=now, updated_by=by
    )
    row.sealed_value, row.updated_at, row.updated_by = sealed_value, now, by
    session.add(row)
    session.flush()
    return row, is_new


def delete(session: Session, row: TeamSecret) -> None:
    """It is gone."""
    session.delete(row)


def in_use(session: Session, team: str) -> dict[str, list[str]]:
    """The runs that have not ended and refer to a team's secrets, by its name."""
    rows = session.exec(
        select(Run.id, Run.secret_refs).where(Run.team == team, col(Run.state).in_(LIVE)).order_by(col(Run.id))
    )
    found: dict[str, list[str]] = {}
    for run_id, refs in rows:
        for name in set((refs or {}).values()):
            found.setdefault(name, []).append(run_id)
    return found
