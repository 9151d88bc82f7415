"""A team's users: who its keys, runs and personal budgets belong to."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session, col, select

from service.domain.errors import NotAuthenticated
from service.store import topics
from service.store.tables import User
from service.store.upsert import insert_unless_there


def get(session: Session, team: str, name: str) -> User | None:
    """One user."""
    return session.get(User, (team, name))


def ensure(session: Session, team: str, name: str, now: datetime) -> User:
    """One user, made where the name is new to the team."""
    if (user := get(session, team, name)) is None:
        insert_unless_there(session, User, {"team": team, "name": name, "created_at": now})
        user = session.get_one(User, (team, name))
    return user


def refuse_shut_out(user: User | None) -> None:
    """Raise NotAuthenticated for a user who is shut out."""
    if user is not None and user.shut_out_at is not None:
        raise NotAuthenticated(f"the user '{user.name}' is shut out", remedy="Ask a lead of the team.")


def page(session: Session, team: str, after: str | None, limit: int) -> list[User]:
    """A team's users by name."""
    query = select(User).where(User.team == team).order_by(col(User.name)).limit(limit)
    return list(session.exec(query if after is None else query.where(User.name > after)))


def shut_out(session: Session, user: User, by: str, now: datetime, stop: bool) -> None:
    """Nothing that a user sends is taken any more; or, with `stop` False, it is again."""
    user.shut_out_at, user.shut_out_by = (now, by) if stop else (None, None)
    session.add(user)
    topics.tell(session, topics.entry(user.team))
