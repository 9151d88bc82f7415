"""notify: events become deliveries, deliveries become signed POSTs, and what came of each is written down.

The event table is the outbox: a change and its event are one transaction, so nothing is told that did not happen and
nothing that happened goes untold. Delivery is at least once; receivers order by `sequence`.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from datetime import datetime
from functools import partial

from sqlmodel import Session

from service.flow.deliver import Outcome, http_client
from service.flow.gate import Gate
from service.flow.send import record, send, tell
from service.store import deliveries, events
from service.store.tables import Delivery, Endpoint, Event

MOST_UNDER_WAY = 200
# What fails may take so much of that, one letter at a time; what does not, several each while there is plenty of room.
MOST_FAILING = 100
MOST_PER_ENDPOINT = 5
LOOK_AGAIN_SECONDS = 0.1
# By the clock something becomes due while others are waited for; nobody minds a second.
DUE_BY_TIME_SECONDS = 1

Row = tuple[Delivery, Endpoint, Event]


def run_once(gate: Gate) -> int:
    """Stamp new events, make their deliveries, send what is due until nothing is; how many deliveries were tried."""
    return asyncio.run(_send_due(gate))


async def _send_due(gate: Gate) -> int:
    """While a slow endpoint takes its ten seconds, what becomes due for others is sent beside it."""
    gate.write(partial(_fan_out, now=gate.clock()))
    rows = _due(gate, [])
    if not rows:
        return 0
    tried, looked_at = 0, time.monotonic()
    under_way: dict[asyncio.Task[Outcome], Row] = {}
    async with http_client() as client:
        while rows or under_way:
            for row in rows:
                _, endpoint, event = row
                under_way[asyncio.create_task(send(client, gate, endpoint, event))] = row
            done, _ = await asyncio.wait(under_way, timeout=LOOK_AGAIN_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                _finish(gate, under_way.pop(task), task.result())
            tried += len(done)
            made = gate.write(partial(_fan_out, now=gate.clock()))
            rows = []
            if made or done or time.monotonic() - looked_at >= DUE_BY_TIME_SECONDS:
                rows, looked_at = _due(gate, list(under_way.values())), time.monotonic()
    return tried


def _due(gate: Gate, under_way: list[Row]) -> list[Row]:
    """What to send now: a few per endpoint, so that one with a backlog leaves room for the others, and those that fail
    never take all of it."""
    ids = {delivery.id for delivery, _, _ in under_way}
    busy = Counter(endpoint.id for _, endpoint, _ in under_way)
    failing = sum(endpoint.failing_since is not None for _, endpoint, _ in under_way)
    room = MOST_UNDER_WAY - len(under_way)
    chosen: list[Row] = []
    with gate.db.read() as session:
        for is_failing, most, each in (
            (False, room, MOST_PER_ENDPOINT if room > MOST_UNDER_WAY // 2 else 1),
            (True, min(room, MOST_FAILING - failing), 1),
        ):
            taken = 0
            full = [endpoint_id for endpoint_id, count in busy.items() if count >= each]
            for row in deliveries.due(session, gate.clock(), MOST_UNDER_WAY, failing=is_failing, without=full):
                delivery, endpoint, _ = row
                if taken < most and delivery.id not in ids and busy[endpoint.id] < each:
                    busy[endpoint.id] += 1
                    taken += 1
                    chosen.append(row)
    return chosen[: max(0, room)]


def _finish(gate: Gate, row: Row, outcome: Outcome) -> None:
    delivery, endpoint, event = row
    jitter = random.random()  # noqa: S311 - jitter is no secret
    disabled = gate.write(partial(record, delivery=delivery, outcome=outcome, now=gate.clock(), jitter=jitter))
    tell(delivery, endpoint, event, outcome, disabled)


def _fan_out(session: Session, now: datetime) -> int:
    return deliveries.fan_out(session, events.stamp(session), now)
