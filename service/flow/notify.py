"""notify: events become deliveries, deliveries become signed POSTs, and what came of each is written down.

The event table is the outbox: a change and its event are one transaction, so nothing is told that did not happen and
nothing that happened goes untold. Delivery is at least once; receivers order by `sequence`.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from datetime import datetime
from functools import partial

import httpx2
import structlog
from cryptography.fernet import InvalidToken
from sqlmodel import Session

from service.domain.backoff import delivery_backoff
from service.flow.deliver import Letter, Outcome, body_of, deliver
from service.flow.gate import Gate
from service.store import events, webhooks
from service.store.tables import Delivery, Endpoint, Event

log = structlog.get_logger()
MOST_UNDER_WAY = 100
MOST_PER_ENDPOINT = 5
LOOK_AGAIN_SECONDS = 0.1
GONE = 410
UNREADABLE = "the endpoint's secret is sealed under another key than the service's: make the endpoint anew"


def run_once(gate: Gate) -> int:
    """Stamp new events, make their deliveries, send what is due until nothing is; how many deliveries were tried."""
    return asyncio.run(_send_due(gate))


async def _send_due(gate: Gate) -> int:
    """While a slow endpoint takes its ten seconds, what becomes due for others is sent beside it."""
    tried = 0
    under_way: dict[asyncio.Task[Outcome], tuple[Delivery, Event]] = {}
    async with httpx2.AsyncClient(follow_redirects=False, timeout=10, trust_env=False) as client:
        while True:
            for row in _due(gate, [delivery for delivery, _ in under_way.values()]):
                under_way[asyncio.create_task(_send(client, gate, *row))] = (row[0], row[2])
            if not under_way:
                return tried
            done, _ = await asyncio.wait(under_way, timeout=LOOK_AGAIN_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                _finish(gate, *under_way.pop(task), task.result())
            tried += len(done)


async def _send(
    client: httpx2.AsyncClient, gate: Gate, delivery: Delivery, endpoint: Endpoint, event: Event
) -> Outcome:
    try:
        letter = _letter(gate, endpoint, event)
    except InvalidToken:
        return Outcome(None, UNREADABLE, None, 0)
    except Exception as error:  # this endpoint's trouble alone
        log.exception("letter_not_written", delivery_id=delivery.id, endpoint_id=endpoint.id)
        return Outcome(None, f"the letter could not be written ({type(error).__name__})", None, 0)
    return await deliver(client, letter, gate.limits.webhook_allowed_targets)


def _due(gate: Gate, under_way: list[Delivery]) -> list[tuple[Delivery, Endpoint, Event]]:
    """What to send now: a few per endpoint, so that one with a backlog leaves room for the others."""
    gate.write(partial(_fan_out, now=gate.clock()))
    ids = {delivery.id for delivery in under_way}
    busy = Counter(delivery.endpoint_id for delivery in under_way)
    chosen = []
    with gate.db.read() as session:
        full = [endpoint_id for endpoint_id, count in busy.items() if count >= MOST_PER_ENDPOINT]
        for row in webhooks.due(session, gate.clock(), MOST_UNDER_WAY, without=full):
            delivery = row[0]
            if delivery.id not in ids and busy[delivery.endpoint_id] < MOST_PER_ENDPOINT:
                busy[delivery.endpoint_id] += 1
                chosen.append(row)
    return chosen[: max(0, MOST_UNDER_WAY - len(under_way))]


def _finish(gate: Gate, delivery: Delivery, event: Event, outcome: Outcome) -> None:
    gate.write(partial(_record, delivery_id=delivery.id, outcome=outcome, now=gate.clock()))
    log.info(
        "webhook_sent" if outcome.is_success else "webhook_failed",
        subject=event.subject,
        event_type=event.type,
        endpoint_id=delivery.endpoint_id,
        status=outcome.status,
        problem=outcome.error,
    )


def _fan_out(session: Session, now: datetime) -> int:
    return webhooks.fan_out(session, events.stamp(session), now)


def _letter(gate: Gate, endpoint: Endpoint, event: Event) -> Letter:
    return Letter(
        event_id=event.id,
        url=endpoint.url,
        secret=gate.vault.open(endpoint.sealed_secret)["secret"],
        body=body_of(event.type, event.timestamp, event.data),
        sent_at=gate.clock(),
    )


def _record(session: Session, delivery_id: str, outcome: Outcome, now: datetime) -> None:
    delivery = session.get(Delivery, delivery_id)
    if delivery is None or delivery.state != "pending":
        return
    delivery.tries += 1
    delivery.last_status = outcome.status
    delivery.last_error = outcome.error
    delivery.last_response = outcome.response
    delivery.last_latency_ms = outcome.latency_ms
    if outcome.is_success:
        delivery.state, delivery.delivered_at = "delivered", now
    else:
        delivery.first_failed_at = delivery.first_failed_at or now
        pause = delivery_backoff(delivery.tries, random.random())  # noqa: S311 - jitter is no secret
        if outcome.status == GONE:
            _disable(session, delivery.endpoint_id, now)
        if pause is None or outcome.status == GONE:
            delivery.state = "failed"
        else:
            delivery.next_try_at = now + pause
    session.add(delivery)


def _disable(session: Session, endpoint_id: str, now: datetime) -> None:
    """410 Gone: the receiver wants no more."""
    endpoint = webhooks.get(session, endpoint_id)
    if endpoint is not None:
        endpoint.disabled_at = endpoint.disabled_at or now
        session.add(endpoint)
