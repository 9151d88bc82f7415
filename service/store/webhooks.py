"""Endpoints and deliveries."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

from sqlalchemy import ColumnElement
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, exists, select

from service.store.ids import new_id
from service.store.tables import Delivery, Endpoint, Event

# A head that keeps failing is passed after this long, and retried beside (receivers order by `sequence`).
HEAD_PATIENCE = timedelta(minutes=5)


def get(session: Session, endpoint_id: str) -> Endpoint | None:
    """One endpoint."""
    return session.get(Endpoint, endpoint_id)


def page(session: Session, team: str | None, after: str | None, limit: int) -> list[Endpoint]:
    """Endpoints of a team (of all teams where None), newest first."""
    query = select(Endpoint).order_by(col(Endpoint.id).desc()).limit(limit)
    if team is not None:
        query = query.where(Endpoint.team == team)
    if after is not None:
        query = query.where(Endpoint.id < after)
    return list(session.exec(query))


def delete(session: Session, endpoint: Endpoint) -> None:
    """Forget an endpoint and its delivery log."""
    for delivery in session.exec(select(Delivery).where(Delivery.endpoint_id == endpoint.id)):
        session.delete(delivery)
    session.flush()
    session.delete(endpoint)


def fan_out(session: Session, new: Iterable[Event], now: datetime) -> int:
    """One pending delivery for each new event and each endpoint that asked for it; how many."""
    endpoints = list(session.exec(select(Endpoint).where(col(Endpoint.disabled_at).is_(None))))
    made = 0
    for event in new:
        for endpoint in endpoints:
            if _wants(endpoint, event):
                session.add(
                    Delivery(
                        id=new_id("dlv", now),
                        endpoint_id=endpoint.id,
                        event_id=event.id,
                        subject=event.subject,
                        sequence=event.sequence,
                        state="pending",
                        next_try_at=now,
                        created_at=now,
                    )
                )
                made += 1
    session.flush()
    return made


def due(
    session: Session, now: datetime, limit: int, without: Sequence[str] = ()
) -> list[tuple[Delivery, Endpoint, Event]]:
    """What may be sent now. Per endpoint and subject the events go in order: an earlier one that is still pending and
    has not failed for long holds the later ones back."""
    rows = session.exec(
        select(Delivery, Endpoint, Event)
        .join(Endpoint, col(Endpoint.id) == Delivery.endpoint_id)
        .join(Event, col(Event.id) == Delivery.event_id)
        .where(
            Delivery.state == "pending",
            Delivery.next_try_at <= now,
            col(Endpoint.disabled_at).is_(None),
            ~_is_held(now),
        )
        .where(col(Delivery.endpoint_id).not_in(without))
        .order_by(col(Delivery.next_try_at), col(Delivery.id))
        .limit(limit)
    )
    return [(delivery, endpoint, event) for delivery, endpoint, event in rows]


def deliveries(
    session: Session, endpoint_id: str, after: str | None, limit: int, now: datetime
) -> Sequence[tuple[Delivery, Event, bool]]:
    """An endpoint's delivery log, newest first, and whether each is held back by an earlier one."""
    query = (
        select(Delivery, Event, (col(Delivery.state) == "pending") & _is_held(now))
        .join(Event, col(Event.id) == Delivery.event_id)
        .where(Delivery.endpoint_id == endpoint_id)
        .order_by(col(Delivery.id).desc())
        .limit(limit)
    )
    if after is not None:
        query = query.where(Delivery.id < after)
    return [(delivery, event, is_held) for delivery, event, is_held in session.exec(query)]


def _is_held(now: datetime) -> ColumnElement[bool]:
    earlier = aliased(Delivery)
    return (
        exists()
        .where(earlier.endpoint_id == Delivery.endpoint_id, earlier.subject == Delivery.subject)  # type: ignore[arg-type]
        .where(earlier.state == "pending", earlier.sequence < Delivery.sequence)  # type: ignore[arg-type]
        .where(
            col(earlier.first_failed_at).is_(None) | (col(earlier.first_failed_at) > now - HEAD_PATIENCE),
        )
    )


def _wants(endpoint: Endpoint, event: Event) -> bool:
    mine = endpoint.team is None or endpoint.team == event.team
    return mine and any(fnmatchcase(event.type, pattern) for pattern in endpoint.events)
