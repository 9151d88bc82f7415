"""Teams' own tokens of Hugging Face."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from service.domain.place import Place
from service.domain.run import LIVE
from service.store.ids import new_id
from service.store.shared import once
from service.store.tables import Run, Stray, TeamCredential


@dataclass(frozen=True)
class Brought:
    """What a team brings: its tokens, sealed, where they start jobs, and what Hugging Face said of them."""

    sealed_tokens: bytes
    namespaces: Sequence[str]
    allow_broad_job_token: bool
    found: Mapping[str, Any]


def get(session: Session, team: str | None) -> TeamCredential | None:
    """A team's own; None where it has none, or for the service's (`team` None)."""
    return None if team is None else session.get(TeamCredential, team)


def held(session: Session, team: str, *, for_change: bool = False) -> TeamCredential | None:
    """A team's own as they stand now, held until the transaction ends: nobody changes them meanwhile."""
    if for_change:
        return session.get(TeamCredential, team, with_for_update=True, populate_existing=True)
    return once(session, ("credentials", team), lambda reader: _shared(reader, team))


def _shared(session: Session, team: str) -> TeamCredential | None:
    return session.get(TeamCredential, team, with_for_update={"read": True}, populate_existing=True)


def every(session: Session) -> list[TeamCredential]:
    """All teams'."""
    return list(session.exec(select(TeamCredential).order_by(col(TeamCredential.team))))


def version(session: Session, team: str | None) -> str:
    """Which tokens they are: empty for the service's, as they change with a restart only. Facts are kept by it."""
    if team is None:
        return ""
    found = session.exec(select(TeamCredential.version).where(TeamCredential.team == team)).first()
    return found or f"none/{team}"


def put(session: Session, team: str, brought: Brought, by: str, now: datetime) -> TeamCredential:
    """Keep them in place of those of before, at once for all that runs. The caller holds the team's row."""
    row = session.get(TeamCredential, team) or TeamCredential(
        team=team,
        sealed_tokens=b"",
        namespaces=[],
        version="",
        found={},
        checked_at=now,
        updated_at=now,
        updated_by=by,
    )
    row.sealed_tokens = brought.sealed_tokens
    row.namespaces = list(brought.namespaces)
    row.allow_broad_job_token = brought.allow_broad_job_token
    row.found = dict(brought.found)
    row.version = new_id("cred", now)
    row.checked_at = row.updated_at = now
    row.updated_by = by
    session.add(row)
    session.flush()
    return row


def note_check(session: Session, team: str, version: str, found: Mapping[str, Any], now: datetime) -> bool:
    """Keep what Hugging Face said of the tokens of this version; False: they were replaced meanwhile."""
    row = session.get(TeamCredential, team, with_for_update=True, populate_existing=True)
    if row is None or row.version != version:
        return False
    row.found, row.checked_at = dict(found), now
    session.add(row)
    return True


def in_use(session: Session, team: str) -> dict[str, list[str]]:
    """The runs that have not ended and use a team's own tokens, by namespace."""
    rows = session.exec(
        select(Run.namespace, Run.id).where(Run.credentials == team, col(Run.state).in_(LIVE)).order_by(col(Run.id))
    )
    found: dict[str, list[str]] = {}
    for namespace, run_id in rows:
        found.setdefault(namespace, []).append(run_id)
    return found


def watches_strays(session: Session, team: str) -> bool:
    """Whether a stray job that only these tokens see has not ended."""
    mine = select(Stray.id).where(Stray.credentials == team, col(Stray.ended_at).is_(None)).limit(1)
    return session.exec(mine).first() is not None


def places(session: Session) -> set[Place]:
    """Where teams' own tokens start jobs."""
    return {Place(row.team, namespace) for row in every(session) for namespace in row.namespaces}
