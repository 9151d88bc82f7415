"""send: a delivery's letter is written, sent by the way of its endpoint, and what came of it is kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import httpx2
import structlog
from cryptography.fernet import InvalidToken
from sqlmodel import Session

from service.domain.backoff import DELIVERY_PATIENCE, delivery_backoff
from service.domain.endpoint import Kind
from service.domain.retry_after import retry_after
from service.flow.deliver import Outcome, deliver
from service.flow.gate import Gate
from service.flow.letter import Letter, body_of, subject_of
from service.flow.post import post
from service.store import webhooks
from service.store.sealed_address import unseal
from service.store.tables import Delivery, Endpoint, Event

log = structlog.get_logger()
GONE = 410
ASK_FOR_REST = (429, 503)
UNREADABLE = "the endpoint's secret is sealed under another key than the service's: rotate its secret, or make it anew"


@dataclass(frozen=True)
class Disabled:
    """What is to be noticed: an endpoint that nothing is sent to any more."""

    endpoint_id: str
    team: str | None
    because: str


async def send(client: httpx2.AsyncClient, gate: Gate, endpoint: Endpoint, event: Event) -> Outcome:
    """One try. Never raises: what goes wrong is this endpoint's trouble alone."""
    try:
        letter = _letter(gate, endpoint, event)
    except InvalidToken:
        return Outcome(None, UNREADABLE, None, 0)
    except Exception as error:
        log.exception("letter_not_written", event_id=event.id, endpoint_id=endpoint.id)
        return Outcome(None, f"the letter could not be written ({type(error).__name__})", None, 0)
    if letter.kind is not Kind.EMAIL:
        return await deliver(client, letter, gate.limits.webhook_allowed_targets, gate.lookups)
    if gate.limits.mail is None:
        return Outcome(None, "this service has no mail server: TUNEGATE_SMTP_URL names one", None, 0)
    return await post(letter, gate.limits.mail)


def record(session: Session, delivery: Delivery, outcome: Outcome, now: datetime, jitter: float) -> Disabled | None:
    """Write down what a try brought; the endpoint that it disabled, if it did. `jitter` is from 0 to 1."""
    endpoint = webhooks.lock(session, delivery.endpoint_id)
    kept = session.get(Delivery, delivery.id, populate_existing=True)
    if endpoint is None or kept is None or kept.state != "pending":
        return None
    kept.tries += 1
    kept.last_tried_at, kept.last_latency_ms = now, outcome.latency_ms
    kept.last_status, kept.last_error, kept.last_response = outcome.status, outcome.error, outcome.response
    session.add_all([endpoint, kept])
    if outcome.is_success:
        kept.state, kept.delivered_at = "delivered", now
        endpoint.failing_since = endpoint.resting_until = None
        return None
    if kept.subject == endpoint.id:  # a test, which somebody looks at just now
        kept.state = "failed"
        return None
    _put_off(endpoint, kept, outcome, now, jitter)
    return _disable_if_dead(session, endpoint, outcome, now)


def _put_off(endpoint: Endpoint, kept: Delivery, outcome: Outcome, now: datetime, jitter: float) -> None:
    kept.first_failed_at = kept.first_failed_at or now
    endpoint.failing_since = endpoint.failing_since or now
    asked: timedelta | None = None
    if outcome.status in ASK_FOR_REST and (asked := retry_after(outcome.retry_after, now)) is not None:
        endpoint.resting_until = now + asked
    pause = delivery_backoff(kept.tries, now - kept.first_failed_at, jitter, asked)
    if pause is None or outcome.status == GONE:
        kept.state = "failed"
    else:
        kept.next_try_at = now + pause


def _disable_if_dead(session: Session, endpoint: Endpoint, outcome: Outcome, now: datetime) -> Disabled | None:
    """410 says that the receiver wants no more; after three days without any success nobody is there. A single letter
    that is never taken is given up alone."""
    assert endpoint.failing_since is not None
    if endpoint.disabled_at is not None:
        return None
    if outcome.status == GONE:
        because = "the receiver answered 410 Gone"
    elif now - endpoint.failing_since >= DELIVERY_PATIENCE:
        because = f"nothing has got through for {DELIVERY_PATIENCE // timedelta(hours=1)} hours"
    else:
        return None
    webhooks.disable(session, endpoint, because, outcome.status, now)
    return Disabled(endpoint.id, endpoint.team, because)


def tell(delivery: Delivery, endpoint: Endpoint, event: Event, outcome: Outcome, disabled: Disabled | None) -> None:
    """The log's lines of a try."""
    log.info(
        "webhook_sent" if outcome.is_success else "webhook_failed",
        subject=event.subject,
        event_type=event.type,
        endpoint_id=delivery.endpoint_id,
        kind=endpoint.kind,
        status=outcome.status,
        problem=outcome.error,
    )
    if disabled is not None:
        log.warning("endpoint_disabled", endpoint_id=disabled.endpoint_id, team=disabled.team, because=disabled.because)


def _letter(gate: Gate, endpoint: Endpoint, event: Event) -> Letter:
    now = gate.clock()
    address = unseal(gate.vault, endpoint.sealed_address)
    kind = Kind(endpoint.kind)
    return Letter(
        kind=kind,
        event_id=event.id,
        url=address.url,
        subject=subject_of(event) if kind is Kind.EMAIL else "",
        body=body_of(kind, event, gate.public_url),
        sent_at=now,
        secrets=tuple(address.secrets(now)),
    )
