"""Sessions of people with a browser: begun, found by their cookie, ended."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import CursorResult
from sqlmodel import Session, col, delete

from service.domain.access import Role, Scope
from service.store import topics
from service.store.keys import hash_of
from service.store.tables import SignIn


@dataclass(frozen=True)
class Who:
    """Somebody who calls, and what they came with. Admins are of no team."""

    user: str
    team: str | None
    role: Role
    via: str
    key_id: str | None = None
    admin_key_hash: str | None = None
    # of the key; None: whatever the role allows
    scopes: tuple[Scope, ...] | None = None


def begin(session: Session, who: Who, now: datetime, lasts: timedelta) -> str:
    """A new session; its cookie, which is not kept."""
    cookie = secrets.token_urlsafe(32)
    session.add(
        SignIn(
            hash=hash_of(cookie),
            user=who.user,
            team=who.team,
            role=who.role.value,
            via=who.via,
            key_id=who.key_id,
            admin_key_hash=who.admin_key_hash,
            created_at=now,
            expires_at=now + lasts,
        )
    )
    return cookie


def find(session: Session, cookie: str, now: datetime) -> SignIn | None:
    """The session of a cookie, unless it is over."""
    found = session.get(SignIn, hash_of(cookie))
    return found if found is not None and found.expires_at > now else None


def end(session: Session, cookie: str) -> None:
    """Sign out: the cookie is worth nothing from now on, wherever it is."""
    if (found := session.get(SignIn, hash_of(cookie))) is not None:
        session.delete(found)
        topics.tell(session, topics.entry(found.team))


def forget_over(session: Session, now: datetime) -> int:
    """Forget sessions that are over; how many."""
    result = session.exec(delete(SignIn).where(col(SignIn.expires_at) <= now))
    assert isinstance(result, CursorResult)
    return int(result.rowcount)
