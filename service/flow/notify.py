"""notify: events become deliveries, deliveries become signed POSTs, and what came of each is written down.

The event table is the outbox: a change and its event are one transaction, so nothing is told that did not happen and
nothing that happened goes untold. Delivery is at least once; receivers order by `sequence`.

A pass goes in turns. In each, all that was answered since the last one is written down in one transaction, which also
stamps what is new; letters go out beside it.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import uvloop
from sqlmodel import Session

from service.flow.deliver import Outcome
from service.flow.gate import Gate
from service.flow.send import Disabled, Tried, record, send, tell, tell_of_disabled
from service.store import deliveries, events
from service.store.tables import Delivery, Endpoint, Event
from service.store.topics import EVERYTHING, Topics, has_work

MOST_UNDER_WAY = 200
# What fails may take so much of that, one letter at a time; what does not, several each while there is plenty of room.
MOST_FAILING = 100
MOST_PER_ENDPOINT = 5
# By the clock something becomes due while others are waited for; nobody minds a second.
DUE_BY_TIME_SECONDS = 1

# What is told where there may be letters to send.
WORK = EVERYTHING | set(has_work("notify"))

Row = tuple[Delivery, Endpoint, Event]


@dataclass(frozen=True)
class Answered:
    """A letter that is not under way any more."""

    row: Row
    outcome: Outcome


def run_once(gate: Gate) -> int:
    """Stamp new events, make their deliveries, send what is due until nothing is; how many deliveries were tried."""
    _write_down(gate, [])
    rows = _due(gate, [])
    return uvloop.run(_send(gate, rows)) if rows else 0


async def _send(gate: Gate, rows: list[Row]) -> int:
    """While a slow endpoint takes its ten seconds, what becomes due for others is sent beside it."""
    bell, loop = asyncio.Event(), asyncio.get_running_loop()

    def hear(topics: Topics) -> None:
        if topics & WORK:
            with suppress(RuntimeError):  # the loop is over: so is the pass, and the next one looks
                loop.call_soon_threadsafe(bell.set)

    with gate.db.news.hearing(hear):
        return await _send_until_none_is_due(gate, rows, bell)


async def _send_until_none_is_due(gate: Gate, rows: list[Row], bell: asyncio.Event) -> int:
    tried, looked_at = 0, time.monotonic()
    under_way: dict[asyncio.Task[Outcome], Row] = {}
    while rows or under_way:
        for row in rows:
            _, endpoint, event = row
            under_way[asyncio.create_task(send(gate, endpoint, event))] = row
        await _first(under_way, bell)
        bell.clear()
        answered = [Answered(under_way.pop(task), task.result()) for task in list(under_way) if task.done()]
        tried += len(answered)
        is_news = await asyncio.to_thread(_write_down, gate, answered)
        rows = []
        is_due = is_news or time.monotonic() - looked_at >= DUE_BY_TIME_SECONDS
        if is_due and not gate.stopping.is_set():  # what is under way at a stop is written down, and nothing more begun
            rows, looked_at = await asyncio.to_thread(_due, gate, list(under_way.values())), time.monotonic()
    return tried


async def _first(under_way: Collection[asyncio.Task[Outcome]], bell: asyncio.Event) -> None:
    """Wait for an answer, for news, or for the time when something may have become due."""
    ringing = asyncio.create_task(bell.wait())
    await asyncio.wait([*under_way, ringing], timeout=DUE_BY_TIME_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    ringing.cancel()


def _write_down(gate: Gate, answered: Sequence[Answered]) -> bool:
    """What came of letters, and deliveries for new events; whether there was anything."""
    with gate.db.read() as session:
        if not answered and not events.are_unstamped(session):
            return False
    # drawn here, as the work may be run again
    tries = [Tried(one.row[0], one.outcome, random.random()) for one in answered]  # noqa: S311 - jitter is no secret
    disabled = gate.write(partial(_apply, tries=tries, gate=gate))
    for one in answered:
        _, endpoint, event = one.row
        tell(endpoint, event, one.outcome)
        late = (gate.clock() - event.timestamp).total_seconds()
        gate.ears.tried(endpoint.kind, one.outcome.is_success, late)
    for endpoint_that_was in disabled:
        tell_of_disabled(endpoint_that_was)
    return True


def _apply(session: Session, tries: Sequence[Tried], gate: Gate) -> list[Disabled]:
    now = gate.clock()
    disabled = record(session, tries, now) if tries else []
    deliveries.fan_out(session, events.stamp(session), now)
    return disabled


def _due(gate: Gate, under_way: list[Row]) -> list[Row]:
    """What to send now: a few per endpoint, so that one with a backlog leaves room for the others, and those that fail
    never take all of it."""
    now = gate.clock()
    without = [delivery.id for delivery, _, _ in under_way]
    busy = Counter(endpoint.id for _, endpoint, _ in under_way)
    failing = sum(endpoint.failing_since is not None for _, endpoint, _ in under_way)
    room = MOST_UNDER_WAY - len(under_way)
    chosen: list[Row] = []
    with gate.db.read() as session:
        waiting = deliveries.waiting(session, now)
        for is_failing, most, each in (
            (False, room, MOST_PER_ENDPOINT if room > MOST_UNDER_WAY // 2 else 1),
            (True, min(room, MOST_FAILING - failing), 1),
        ):
            free = [
                endpoint_id for endpoint_id, fails, _ in waiting if fails == is_failing and busy[endpoint_id] < each
            ]
            taken = 0
            for row in deliveries.due(session, now, free[: max(0, most)], each, without):
                _, endpoint, _ = row
                if taken < most and busy[endpoint.id] < each:
                    busy[endpoint.id] += 1
                    taken += 1
                    chosen.append(row)
    return chosen[: max(0, room)]
