"""Teams, their keys and limits."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime

from sqlmodel import Session, col, select

from service.store.ids import new_id
from service.store.tables import ApiKey, Team


def get(session: Session, name: str) -> Team | None:
    """One team."""
    return session.get(Team, name)


def lock(session: Session, name: str) -> Team | None:
    """One team as it stands now, held until the transaction ends."""
    return session.get(Team, name, with_for_update=True, populate_existing=True)


def every(session: Session) -> list[Team]:
    """All teams by name."""
    return list(session.exec(select(Team).order_by(col(Team.name))))


def insert(session: Session, name: str, now: datetime) -> Team | None:
    """A new team, or None where the name is taken."""
    if get(session, name) is not None:
        return None
    team = Team(name=name, created_at=now)
    session.add(team)
    return team


def insert_key(session: Session, team: str | None, name: str, role: str, now: datetime) -> tuple[ApiKey, str]:
    """A new key: its row, and the key itself, which is not kept."""
    secret = "tg_" + secrets.token_urlsafe(32)
    key = ApiKey(id=new_id("key", now), team=team, name=name, role=role, hash=hash_of(secret), created_at=now)
    session.add(key)
    session.flush()
    return key, secret


def key_by_secret(session: Session, secret: str) -> ApiKey | None:
    """The key that a caller presented, unless it was revoked."""
    key = session.exec(select(ApiKey).where(ApiKey.hash == hash_of(secret))).first()
    return key if key is not None and key.revoked_at is None else None


def keys_of(session: Session, team: str) -> list[ApiKey]:
    """A team's keys, oldest first, revoked ones included."""
    return list(session.exec(select(ApiKey).where(ApiKey.team == team).order_by(col(ApiKey.id))))


def has_key(session: Session, team: str, key_id: str) -> bool:
    """Whether a key is, or was, a team's."""
    key = session.get(ApiKey, key_id)
    return key is not None and key.team == team


def revoke_key(session: Session, team: str, key_id: str, now: datetime) -> bool:
    """End a key at once; False where the team has no such key."""
    key = session.get(ApiKey, key_id)
    if key is None or key.team != team:
        return False
    key.revoked_at = key.revoked_at or now
    session.add(key)
    return True


def hash_of(secret: str) -> str:
    """How a key is kept: it has 256 random bits, so a plain SHA-256 cannot be searched back."""
    return hashlib.sha256(secret.encode()).hexdigest()
