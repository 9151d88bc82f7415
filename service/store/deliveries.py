"""Deliveries: one for each event and endpoint that asked for it, what may be sent now, and the log."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, CursorResult, func, insert, literal_column, or_
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, delete, exists, select, update
from sqlmodel.sql.expression import Select

from service.domain.event_pattern import is_asked_for
from service.store import events
from service.store.ids import new_id
from service.store.tables import Delivery, Endpoint, Event, Run

# A head that keeps failing is passed after this long, and retried beside (receivers order by `sequence`).
HEAD_PATIENCE = timedelta(minutes=5)
# An event of an endpoint's own, which was sent for it alone and not by the outbox.
TEST = "webhook.test"
MOST_MISSED = 1000
MOST_FORGOTTEN = 5000
# made once: an alias brings a copy of every column along
_EARLIER = aliased(Delivery)


def fan_out(session: Session, new: Sequence[Event], now: datetime) -> int:
    """One pending delivery for each new event and each endpoint that asked for it; how many. Reads the endpoints of
    the teams that something happened to, and those of the very runs."""
    if not new:
        return 0
    mine = or_(
        col(Endpoint.run_id).is_(None)
        & (col(Endpoint.team).is_(None) | col(Endpoint.team).in_({event.team for event in new if event.team})),
        col(Endpoint.run_id).in_({event.subject for event in new if event.type.startswith("run.")}),
    )
    endpoints = session.exec(
        select(Endpoint).where(col(Endpoint.disabled_at).is_(None), mine).order_by(col(Endpoint.id))
    ).all()
    by_run: dict[str | None, list[Endpoint]] = defaultdict(list)
    for endpoint in endpoints:
        by_run[endpoint.run_id].append(endpoint)
    made = [
        _pending(endpoint, event, now)
        for event in new
        for endpoint in [*by_run[None], *by_run.get(event.subject, ())]
        if _wants(endpoint, event)
    ]
    if made:
        session.execute(insert(Delivery), made)
    return len(made)


def pending(endpoint: Endpoint, event: Event, now: datetime) -> Delivery:
    """A delivery that is to be sent now, not stored."""
    return Delivery(**_pending(endpoint, event, now))


def _pending(endpoint: Endpoint, event: Event, now: datetime) -> dict[str, Any]:
    return {
        "id": new_id("dlv", now),
        "endpoint_id": endpoint.id,
        "event_id": event.id,
        "subject": event.subject,
        "sequence": event.sequence,
        "state": "pending",
        "tries": 0,
        "next_try_at": now,
        "created_at": now,
    }


def waiting(session: Session, now: datetime) -> list[tuple[str, bool, datetime]]:
    """The endpoints that something may be due of now, whether each fails, and since when its first letter is due; first
    the one that has waited longest. Takes a step in an index for each endpoint, however many letters it has."""
    first = select(func.min(_EARLIER.endpoint_id).label("id")).where(_is_pending(_EARLIER)).cte("first", recursive=True)
    following = select(func.min(Delivery.endpoint_id)).where(_is_pending(Delivery), Delivery.endpoint_id > first.c.id)
    each = first.union_all(select(following.correlate(first).scalar_subquery()).where(first.c.id.is_not(None)))
    earliest = (
        select(func.min(Delivery.next_try_at))
        .where(_is_pending(Delivery), Delivery.endpoint_id == Endpoint.id)
        .correlate(Endpoint)
        .scalar_subquery()
    )
    found = session.exec(
        select(Endpoint.id, col(Endpoint.failing_since).is_not(None), earliest)
        .join(each, each.c.id == Endpoint.id)
        .where(
            col(Endpoint.disabled_at).is_(None),
            col(Endpoint.resting_until).is_(None) | (col(Endpoint.resting_until) <= now),
            earliest <= now,
        )
        .order_by(earliest, col(Endpoint.id))
    )
    return [(endpoint_id, is_failing, since) for endpoint_id, is_failing, since in found]


def count_pending(session: Session) -> int:
    """How many letters are still to come, of all endpoints."""
    return session.exec(select(func.count()).select_from(Delivery).where(_is_pending(Delivery))).one()


def due(
    session: Session, now: datetime, endpoint_ids: Collection[str], each: int, without: Collection[str] = ()
) -> list[tuple[Delivery, Endpoint, Event]]:
    """What may be sent now to these endpoints, so many for each, but for those deliveries `without`. Per endpoint and
    subject the events go in order: an earlier one that is still pending and has not failed for long holds the later
    ones back."""
    if not endpoint_ids:
        return []
    first = (
        select(Delivery.id)
        .where(Delivery.endpoint_id == Endpoint.id, _is_pending(Delivery), Delivery.next_try_at <= now, ~_is_held(now))
        .where(col(Delivery.id).not_in(without))
        .order_by(col(Delivery.next_try_at), col(Delivery.id))
        .limit(each)
        .correlate(Endpoint)
        .subquery()
    )
    # the one way to the first few of each that both databases take: they come as one text for each endpoint
    named = session.exec(
        select(select(func.aggregate_strings(first.c.id, ",")).scalar_subquery()).where(
            col(Endpoint.id).in_(endpoint_ids)
        )
    )
    ids = [one for names in named if names is not None for one in names.split(",")]
    rows = session.exec(
        select(Delivery, Endpoint, Event)
        .join(Endpoint, col(Endpoint.id) == Delivery.endpoint_id)
        .join(Event, col(Event.id) == Delivery.event_id)
        .where(col(Delivery.id).in_(ids))
        .order_by(col(Delivery.next_try_at), col(Delivery.id))
    )
    return [(delivery, endpoint, event) for delivery, endpoint, event in rows]


def pending_again(session: Session, ids: Collection[str]) -> dict[str, Delivery]:
    """Those of these deliveries that are still pending, as they stand now, by id."""
    query = select(Delivery).where(col(Delivery.id).in_(ids), Delivery.state == "pending")
    return {one.id: one for one in session.exec(query.execution_options(populate_existing=True))}


def change_all(session: Session, changes: Sequence[dict[str, Any]]) -> None:
    """Change deliveries that the caller does not hold as objects any more: each by its `id`, all in one statement."""
    if changes:
        session.execute(update(Delivery), changes)


def page(
    session: Session, endpoint_id: str, state: str | None, after: str | None, limit: int, now: datetime
) -> Sequence[tuple[Delivery, Event, bool]]:
    """An endpoint's delivery log, newest first, and whether each is held back by an earlier one."""
    query = _with_event(endpoint_id, now).order_by(col(Delivery.id).desc()).limit(limit)
    if state is not None:
        query = query.where(Delivery.state == state)
    if after is not None:
        query = query.where(Delivery.id < after)
    return [(delivery, event, is_held) for delivery, event, is_held in session.exec(query)]


def find(session: Session, endpoint_id: str, delivery_id: str, now: datetime) -> tuple[Delivery, Event, bool] | None:
    """One delivery of an endpoint, as `page` has it."""
    return session.exec(_with_event(endpoint_id, now).where(Delivery.id == delivery_id)).first()


def of_run(
    session: Session, run: Run, after: str | None, limit: int, *, with_teams: bool, with_admins: bool
) -> list[tuple[Delivery, Event, Endpoint]]:
    """What was sent, or is to be, of a run's events to its own endpoints, and to its team's and the admins' where they
    count: newest first, no more than so many."""
    whose = col(Endpoint.run_id) == run.id
    if with_teams:
        whose |= col(Endpoint.run_id).is_(None) & (col(Endpoint.team) == run.team)
    if with_admins:
        whose |= col(Endpoint.run_id).is_(None) & col(Endpoint.team).is_(None)
    query = (
        select(Delivery, Event, Endpoint)
        .join(Event, col(Event.id) == Delivery.event_id)
        .join(Endpoint, col(Endpoint.id) == Delivery.endpoint_id)
        # every state is named for the index, in which it stands before the subject
        .where(whose, col(Delivery.state).in_(["pending", "delivered", "failed"]), Delivery.subject == run.id)
        .order_by(col(Delivery.id).desc())
        .limit(limit)
    )
    if after is not None:
        query = query.where(Delivery.id < after)
    return [(delivery, event, endpoint) for delivery, event, endpoint in session.exec(query)]


def again(session: Session, which: ColumnElement[bool], now: datetime) -> int:
    """Send deliveries anew, as if they had never been tried, in the order of their events; how many."""
    result = session.exec(
        update(Delivery)
        .where(which)
        .values(state="pending", tries=0, first_failed_at=None, delivered_at=None, next_try_at=now)
        .execution_options(synchronize_session=False)
    )
    assert isinstance(result, CursorResult)
    return int(result.rowcount)


def again_since(session: Session, endpoint: Endpoint, since: datetime, now: datetime, *, delivered: bool) -> int:
    """Send anew what happened since a time and has not arrived, with `delivered` also what has; how many."""
    wanted = ["pending", "failed", "delivered"] if delivered else ["pending", "failed"]
    happened = select(Event.id).where(col(Event.id) == Delivery.event_id, Event.timestamp >= since, Event.type != TEST)
    mine = (col(Delivery.endpoint_id) == endpoint.id) & col(Delivery.state).in_(wanted)
    return again(session, mine & happened.correlate(Delivery).exists(), now)


def make_missed(session: Session, endpoint: Endpoint, since: datetime, now: datetime) -> tuple[int, bool]:
    """Deliveries for what an endpoint asks for and was not told of, because it was disabled then; how many, and whether
    there is more than one call makes."""
    told = select(Delivery.id).where(Delivery.event_id == Event.id, Delivery.endpoint_id == endpoint.id)
    query = (
        select(Event)
        .where(
            Event.timestamp >= max(since, endpoint.created_at), Event.type != TEST, events.of_patterns(endpoint.events)
        )
        .where(col(Event.position).is_not(None), ~told.correlate(Event).exists())
        .order_by(col(Event.position))
        .limit(MOST_MISSED + 1)
    )
    if endpoint.run_id is not None:
        query = query.where(Event.subject == endpoint.run_id)
    elif endpoint.team is not None:
        query = query.where(Event.team == endpoint.team)
    missed = [event for event in session.exec(query) if _wants(endpoint, event)]
    session.add_all(pending(endpoint, event, now) for event in missed[:MOST_MISSED])
    session.flush()
    return min(len(missed), MOST_MISSED), len(missed) > MOST_MISSED


def forget_old(session: Session, before: datetime) -> int:
    """Drop what is over and older than a time from all logs; how many, some thousands at once."""
    old = (
        select(Delivery.id)
        .where(col(Delivery.created_at) < before, col(Delivery.state).in_(["delivered", "failed"]))
        .limit(MOST_FORGOTTEN)
    )
    result = session.exec(
        delete(Delivery).where(col(Delivery.id).in_(old)).execution_options(synchronize_session=False)
    )
    assert isinstance(result, CursorResult)
    return int(result.rowcount)


def _with_event(endpoint_id: str, now: datetime) -> Select[Delivery, Event, bool]:
    return (
        select(Delivery, Event, (col(Delivery.state) == "pending") & _is_held(now))
        .join(Event, col(Event.id) == Delivery.event_id)
        .where(Delivery.endpoint_id == endpoint_id)
    )


def _is_held(now: datetime) -> ColumnElement[bool]:
    is_patient = col(_EARLIER.first_failed_at).is_(None) | (col(_EARLIER.first_failed_at) > now - HEAD_PATIENCE)
    return (
        exists()
        .where(_EARLIER.endpoint_id == Delivery.endpoint_id, _EARLIER.subject == Delivery.subject)  # type: ignore[arg-type]
        .where(_is_pending(_EARLIER), _EARLIER.sequence < Delivery.sequence, is_patient)  # type: ignore[arg-type]
    )


def _is_pending(delivery: type[Delivery]) -> ColumnElement[bool]:
    """With the state in clear: SQLite takes an index of some rows only where the query says the same."""
    return col(delivery.state) == literal_column("'pending'")


def _wants(endpoint: Endpoint, event: Event) -> bool:
    """Of events that an endpoint may be told of (its run's, where it is a run's), those that it is to be told of. What
    concerns the endpoint itself is not for it; a test is sent by whoever asked for it."""
    if event.type == TEST or event.subject == endpoint.id:
        return False
    mine = endpoint.team is None or endpoint.team == event.team
    return mine and is_asked_for(event.type, endpoint.events)
