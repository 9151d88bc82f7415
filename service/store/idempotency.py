"""Idempotency keys: which run a team's key made, and from what body."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CursorResult, tuple_
from sqlmodel import Session, col, delete, select

from service.store import rows
from service.store.tables import IdempotencyKey
from service.store.upsert import insert_unless_there

AT_ONCE = 5_000


def find(session: Session, team: str, key: str) -> IdempotencyKey | None:
    """What a key was used for."""
    return session.get(IdempotencyKey, (team, key))


def of_body(session: Session, team: str, prefix: str, body_hmac: str, since: datetime) -> IdempotencyKey | None:
    """The newest of a team's keys that begin so and came with this body since a moment; None where there is none."""
    query = select(IdempotencyKey).where(IdempotencyKey.team == team, col(IdempotencyKey.key).startswith(prefix))
    query = query.where(IdempotencyKey.body_hmac == body_hmac, col(IdempotencyKey.created_at) >= since)
    return session.exec(query.order_by(col(IdempotencyKey.created_at).desc()).limit(1)).first()


def claim(session: Session, team: str, key: str, body_hmac: str, run_id: str, now: datetime) -> IdempotencyKey:
    """Bind a key to a run, unless it is bound already: the binding that holds, which may be an earlier request's.

    Two requests at the same instant meet here: the database lets one insert win, and the other reads it. A work that
    leaves its rows to its group takes the key for free: where it is not, they are not inserted, and it is run again.
    """
    values: dict[str, Any] = {"team": team, "key": key, "body_hmac": body_hmac, "run_id": run_id, "created_at": now}
    claimed = rows.new(IdempotencyKey, **values)
    if rows.leave(session, [claimed]) or insert_unless_there(session, IdempotencyKey, values):
        return claimed
    found = find(session, team, key)
    assert found is not None
    return found


def forget_old(session: Session, before: datetime) -> int:
    """Forget keys that were used before a time; how many, some thousands at once. Their runs stay."""
    old = select(IdempotencyKey.team, IdempotencyKey.key).where(col(IdempotencyKey.created_at) < before).limit(AT_ONCE)
    which = tuple_(col(IdempotencyKey.team), col(IdempotencyKey.key)).in_(old)
    result = session.exec(delete(IdempotencyKey).where(which).execution_options(synchronize_session=False))
    assert isinstance(result, CursorResult)
    return int(result.rowcount)
