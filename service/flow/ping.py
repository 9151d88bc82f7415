"""ping: a test event for one endpoint, sent at once and outside of any run's story."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from sqlmodel import Session

from service.flow.gate import Gate
from service.flow.send import Tried, record, send, tell
from service.store import deliveries
from service.store.ids import new_id
from service.store.tables import Delivery, Endpoint, Event

T = TypeVar("T")
# After this long `notify` takes it that whoever sent it has died.
ABANDONED_AFTER = timedelta(minutes=1)


async def ping(gate: Gate, find: Callable[[Session], Endpoint]) -> str:
    """Send a `webhook.test` to the endpoint that `find` holds and returns, disabled or not; the delivery's id. What
    `find` raises goes through. One that fails is not tried again."""
    row = await _write(gate, partial(_make, find=find, now=gate.clock()))
    delivery, endpoint, event = row
    outcome = await send(gate, endpoint, event)
    await _write(gate, partial(record, tries=[Tried(delivery, outcome)], now=gate.clock()))
    tell(endpoint, event, outcome)
    return delivery.id


def _make(session: Session, find: Callable[[Session], Endpoint], now: datetime) -> tuple[Delivery, Endpoint, Event]:
    endpoint = find(session)
    endpoint.sequence += 1
    data: dict[str, Any] = {"sequence": endpoint.sequence, "endpoint_id": endpoint.id, "team": endpoint.team}
    event = Event(
        id=new_id("evt", now),
        subject=endpoint.id,
        sequence=endpoint.sequence,
        team=endpoint.team,
        type=deliveries.TEST,
        timestamp=now,
        data=data,
    )
    session.add_all([endpoint, event])
    session.flush()
    delivery = deliveries.pending(endpoint, event, now)
    delivery.next_try_at = now + ABANDONED_AFTER
    session.add(delivery)
    session.flush()
    return delivery, endpoint, event


async def _write(gate: Gate, work: Callable[[Session], T]) -> T:
    return await asyncio.wrap_future(gate.db.submit(work))
