"""Events: the outbox of webhooks, the timeline of a run, and the feed, in one table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, or_
from sqlmodel import Session, col, select, update

from service.store import rows, topics
from service.store.ids import new_id
from service.store.tables import Event

MAX_STAMPED = 500
TOLD = "told"


def append(
    session: Session,
    subject: str,
    team: str | None,
    sequence: int,
    event_type: str,
    data: dict[str, Any],
    now: datetime,
) -> None:
    """Tell of a change, in the transaction that made it. `sequence` counts the subject's events without gaps."""
    add(session, [made(subject, team, sequence, event_type, data, now)])


def add(session: Session, new: Sequence[Event]) -> None:
    """What `made` has made, all at once. Whoever follows its subjects hears of it, and `notify`, which stamps it."""
    topics.tell(session, *topics.has_work("notify"), *(event.subject for event in new))
    session.info.setdefault(TOLD, []).extend(new)
    rows.insert(session, new)


def of_this_transaction(session: Session) -> list[Event]:
    """What was told of so far in the work that this session is of."""
    told: list[Event] = session.info.get(TOLD, [])
    return told


def made(subject: str, team: str | None, sequence: int, event_type: str, data: dict[str, Any], now: datetime) -> Event:
    """What `append` adds, for whoever adds many at once with `add`."""
    return rows.new(
        Event,
        id=new_id("evt", now),
        subject=subject,
        sequence=sequence,
        team=team,
        type=event_type,
        timestamp=now,
        data={"sequence": sequence, **data},
    )


def of(session: Session, subject: str, after: int, limit: int) -> list[Event]:
    """The events of a run or a budget in order, those with a sequence greater than `after`."""
    return list(
        session.exec(
            select(Event)
            .where(Event.subject == subject, Event.sequence > after)
            .order_by(col(Event.sequence))
            .limit(limit)
        )
    )


def feed(session: Session, after: int, team: str | None, patterns: Sequence[str], limit: int) -> list[Event]:
    """The feed in order, events of positions greater than `after`; of one team, or of all. `patterns` as endpoints have
    them: a type, or its beginning and `*`."""
    query = select(Event).where(col(Event.position) > after).order_by(col(Event.position)).limit(limit)
    if team is not None:
        query = query.where(Event.team == team)
    return list(session.exec(query.where(of_patterns(patterns))))


def of_patterns(patterns: Sequence[str]) -> ColumnElement[bool]:
    """Whether an event is of one of these types, or of those that begin so."""
    return or_(*(_is_of(pattern) for pattern in patterns))


def _is_of(pattern: str) -> ColumnElement[bool]:
    beginning, star, _ = pattern.partition("*")
    return col(Event.type).startswith(beginning) if star else col(Event.type) == pattern


def last_position(session: Session) -> int:
    """The position of the newest event that has one; 0 where none has."""
    return session.exec(select(func.max(Event.position))).one() or 0


def are_unstamped(session: Session) -> bool:
    """Whether there are events that have no position yet."""
    return session.exec(select(Event.id).where(col(Event.position).is_(None)).limit(1)).first() is not None


def stamp(session: Session) -> list[Event]:
    """Give new events their position in the feed; the events stamped, in order.

    Only the one process that runs the steps stamps, and only what is committed: a reader that has seen position n
    will never find a smaller one appear later.
    """
    unstamped = list(
        session.exec(
            select(Event)
            .where(col(Event.position).is_(None))
            .order_by(col(Event.subject), col(Event.sequence))
            .limit(MAX_STAMPED)
        )
    )
    if not unstamped:
        return []
    positions = enumerate(unstamped, last_position(session) + 1)
    session.execute(update(Event), [{"id": event.id, "position": position} for position, event in positions])
    topics.tell(session, topics.FEED)
    return unstamped
