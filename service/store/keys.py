"""API keys: made, found by what a caller presents, replaced, revoked. The key itself is never kept."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session, col, select, update

from service.domain.access import Role
from service.domain.errors import Conflict
from service.store import topics, users
from service.store.ids import new_id
from service.store.tables import ApiKey

# The last use is noted at most this often: a key that is used a thousand times a second is not written as often.
NOTED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True)
class Terms:
    """What a key is for. `scopes` None: whatever the role allows."""

    name: str
    user: str
    role: Role
    scopes: tuple[str, ...] | None = None
    expires_at: datetime | None = None


def insert(session: Session, team: str | None, terms: Terms, by: str, now: datetime) -> tuple[ApiKey, str]:
    """A new key of a team (an admin's where None): its row, and the key itself, 256 random bits. Its user is there
    afterwards; raises Conflict for one who is shut out."""
    if team is not None and users.ensure(session, team, terms.user, now).shut_out_at is not None:
        raise Conflict(f"the user '{terms.user}' is shut out", field="user", remedy="Let them in again first.")
    secret = "tg_" + secrets.token_urlsafe(32)
    key = ApiKey(
        id=new_id("key", now),
        team=team,
        user=terms.user,
        name=terms.name,
        role=terms.role.value,
        scopes=None if terms.scopes is None else sorted(set(terms.scopes)),
        hash=hash_of(secret),
        created_at=now,
        created_by=by,
        expires_at=terms.expires_at,
    )
    session.add(key)
    session.flush()
    return key, secret


def terms_of(key: ApiKey) -> Terms:
    """What a key was made for."""
    scopes = None if key.scopes is None else tuple(key.scopes)
    return Terms(key.name, key.user, Role(key.role), scopes, key.expires_at)


def by_secret(session: Session, secret: str) -> ApiKey | None:
    """The key that a caller presented, whether or not it holds still."""
    return session.exec(select(ApiKey).where(ApiKey.hash == hash_of(secret))).first()


def end_of(key: ApiKey, now: datetime) -> str | None:
    """Why a key holds no more: `was revoked` or `has expired`; None while it holds."""
    if key.revoked_at is not None:
        return "was revoked"
    return "has expired" if key.expires_at is not None and key.expires_at <= now else None


def lock(session: Session, team: str | None, key_id: str) -> ApiKey | None:
    """A team's key (an admin's where None), held for a change."""
    key = session.get(ApiKey, key_id, with_for_update=True, populate_existing=True)
    return key if key is not None and key.team == team else None


def page(session: Session, team: str | None, after: str | None, limit: int) -> list[ApiKey]:
    """A team's keys (admins' where None), oldest first, those that hold no more included."""
    query = select(ApiKey).where(ApiKey.team == team).order_by(col(ApiKey.id)).limit(limit)
    return list(session.exec(query if after is None else query.where(ApiKey.id > after)))


def revoke(session: Session, key: ApiKey, by: str, now: datetime) -> None:
    """End a key: every process asks the database at each request, so it is refused everywhere at once."""
    if key.revoked_at is None:
        key.revoked_at, key.revoked_by = now, by
        session.add(key)
        topics.tell(session, topics.entry(key.team))


def revoke_all(session: Session, team: str, by: str, now: datetime) -> None:
    """End a team's keys."""
    for key in session.exec(select(ApiKey).where(ApiKey.team == team, col(ApiKey.revoked_at).is_(None))):
        revoke(session, key, by, now)
    session.flush()


def note_use(session: Session, key_id: str, now: datetime) -> None:
    """It was used just now."""
    session.exec(update(ApiKey).where(col(ApiKey.id) == key_id).values(last_used_at=now))


def hash_of(secret: str) -> str:
    """How a key is kept: it has 256 random bits, so a plain SHA-256 cannot be searched back."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
