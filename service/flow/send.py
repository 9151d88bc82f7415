"""send: a delivery's letter is written, sent by the way of its endpoint, and what came of it is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

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
from service.store import deliveries, webhooks
from service.store.sealed_address import unseal
from service.store.tables import Delivery, Endpoint, Event

log = structlog.get_logger()
GONE = 410
ASK_FOR_REST = (429, 503)
# What fails again is left alone for a moment: a dead endpoint with a backlog is not asked a hundred times a second.
BREATH = timedelta(seconds=1)
UNREADABLE = "the endpoint's secret is sealed under another key than the service's: rotate its secret, or make it anew"


@dataclass(frozen=True)
class Tried:
    """A delivery as it was when it was sent, and what came of it. `jitter`, from 0 to 1, lengthens the pause before the
    next try."""

    delivery: Delivery
    outcome: Outcome
    jitter: float = 0


@dataclass(frozen=True)
class Disabled:
    """What is to be noticed: an endpoint that nothing is sent to any more."""

    endpoint_id: str
    team: str | None
    because: str


async def send(gate: Gate, endpoint: Endpoint, event: Event) -> Outcome:
    """One try. Never raises: what goes wrong is this endpoint's trouble alone."""
    try:
        letter = _letter(gate, endpoint, event)
    except InvalidToken:
        return Outcome(None, UNREADABLE, None, 0)
    except Exception as error:
        log.exception("letter_not_written", event_id=event.id, endpoint_id=endpoint.id)
        return Outcome(None, f"the letter could not be written ({type(error).__name__})", None, 0)
    if letter.kind is not Kind.EMAIL:
        return await deliver(letter, gate.limits.webhook_allowed_targets, gate.lookups)
    if gate.limits.mail is None:
        return Outcome(None, "this service has no mail server: TUNEGATE_SMTP_URL names one", None, 0)
    return await post(letter, gate.limits.mail)


def record(session: Session, tries: Sequence[Tried], now: datetime) -> list[Disabled]:
    """Write down what some tries brought, in the order in which they ended; the endpoints that they disabled."""
    endpoints = webhooks.lock_all(session, {tried.delivery.endpoint_id for tried in tries})
    kept = deliveries.pending_again(session, [tried.delivery.id for tried in tries])
    delivered, disabled = [], []
    for tried in tries:
        endpoint, delivery = endpoints.get(tried.delivery.endpoint_id), kept.get(tried.delivery.id)
        if endpoint is None or delivery is None:
            continue
        if tried.outcome.is_success:
            delivered.append(_seen(delivery, tried.outcome, now) | {"state": "delivered", "delivered_at": now})
            if endpoint.failing_since is not None or endpoint.resting_until is not None:
                endpoint.failing_since = endpoint.resting_until = None
        elif (found := _failed(session, endpoint, delivery, tried, now)) is not None:
            disabled.append(found)
    deliveries.change_all(session, delivered)
    return disabled


def _seen(kept: Delivery, outcome: Outcome, now: datetime) -> dict[str, Any]:
    return {
        "id": kept.id,
        "tries": kept.tries + 1,
        "last_tried_at": now,
        "last_latency_ms": outcome.latency_ms,
        "last_status": outcome.status,
        "last_error": outcome.error,
        "last_response": outcome.response,
    }


def _failed(session: Session, endpoint: Endpoint, kept: Delivery, tried: Tried, now: datetime) -> Disabled | None:
    for name, value in _seen(kept, tried.outcome, now).items():
        setattr(kept, name, value)
    if kept.subject == endpoint.id:  # a test, which somebody looks at just now
        kept.state = "failed"
        return None
    _put_off(endpoint, kept, tried, now)
    return _disable_if_dead(session, endpoint, tried.outcome, now)


def _put_off(endpoint: Endpoint, kept: Delivery, tried: Tried, now: datetime) -> None:
    outcome = tried.outcome
    kept.first_failed_at = kept.first_failed_at or now
    asked: timedelta | None = None
    if outcome.status in ASK_FOR_REST and (asked := retry_after(outcome.retry_after, now)) is not None:
        endpoint.resting_until = now + asked
    elif endpoint.failing_since is not None:
        endpoint.resting_until = max(endpoint.resting_until or now, now + BREATH)
    endpoint.failing_since = endpoint.failing_since or now
    pause = delivery_backoff(kept.tries, now - kept.first_failed_at, tried.jitter, asked)
    if pause is None or outcome.status == GONE:
        kept.state = "failed"
    else:
        kept.next_try_at = now + pause if endpoint.disabled_at is None else webhooks.NEVER


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


def tell(endpoint: Endpoint, event: Event, outcome: Outcome) -> None:
    """The log's line of a try."""
    log.info(
        "webhook_sent" if outcome.is_success else "webhook_failed",
        subject=event.subject,
        event_type=event.type,
        endpoint_id=endpoint.id,
        kind=endpoint.kind,
        status=outcome.status,
        problem=outcome.error,
    )


def tell_of_disabled(disabled: Disabled) -> None:
    """The log's line of an endpoint that nothing is sent to any more."""
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
