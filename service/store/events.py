"""Events: the outbox of webhooks, the timeline of a run, and the feed, in one table."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import func
from sqlmodel import Session, col, select, update

from service.store.describe import describe_run
from service.store.ids import new_id
from service.store.tables import Event, Run

MAX_STAMPED = 500


def append(session: Session, run: Run, event_type: str, now: datetime) -> Event:
    """Tell of a change of `run`, in the transaction that made it. `run.sequence` has been raised by the caller."""
    event = Event(
        id=new_id("evt", now),
        sequence=run.sequence,
        run_id=run.id,
        team=run.team,
        type=event_type,
        timestamp=now,
        data=_payload(describe_run(session, run, now), run.sequence),
    )
    session.add(event)
    session.flush()
    return event


def of_run(session: Session, run_id: str, after: int, limit: int) -> list[Event]:
    """A run's events in order, those with a sequence greater than `after`."""
    return list(
        session.exec(
            select(Event)
            .where(Event.run_id == run_id, Event.sequence > after)
            .order_by(col(Event.sequence))
            .limit(limit)
        )
    )


def stamp(session: Session) -> list[Event]:
    """Give new events their position in the feed; the events stamped, in order.

    Only the one process that runs the steps stamps, and only what is committed: a reader that has seen position n
    will never find a smaller one appear later.
    """
    unstamped = list(
        session.exec(
            select(Event)
            .where(col(Event.position).is_(None))
            .order_by(col(Event.run_id), col(Event.sequence))
            .limit(MAX_STAMPED)
        )
    )
    if not unstamped:
        return []
    last = session.exec(select(func.max(Event.position))).one() or 0
    for position, event in enumerate(unstamped, last + 1):
        session.exec(update(Event).where(col(Event.id) == event.id).values(position=position))
        event.position = position
    return unstamped


def _payload(run: dict[str, Any], sequence: int) -> dict[str, Any]:
    # What a receiver acts on; the request itself stays with the API.
    left_out = {"recipe", "env", "secrets"}
    return {"sequence": sequence, **{name: value for name, value in run.items() if name not in left_out}}
