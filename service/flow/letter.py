"""What is sent for an event: the same for every try, but for the time of the try and its signatures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from service.domain.channel import FORMS, mail_text
from service.domain.endpoint import Kind
from service.domain.message import message_of
from service.domain.moment import iso
from service.store.tables import Endpoint, Event

USER_AGENT = "tunegate-webhooks"
SIGNATURE = "webhook-signature"


@dataclass(frozen=True)
class Letter:
    """One event for one endpoint. `secrets` sign it, the newest first; an e-mail's `body` is its text."""

    kind: Kind
    event_id: str
    url: str
    subject: str
    body: bytes
    sent_at: datetime
    secrets: tuple[str, ...] = ()


def body_of(kind: Kind, event: Event, public_url: str | None) -> bytes:
    """What an endpoint of this kind is told of an event."""
    if kind is Kind.STANDARD:
        return _json({"type": event.type, "timestamp": iso(event.timestamp), "data": event.data})
    message = message_of(event.type, event.data, public_url)
    return mail_text(message).encode() if kind is Kind.EMAIL else _json(FORMS[kind](message))


def subject_of(event: Event) -> str:
    """An e-mail's subject."""
    return message_of(event.type, event.data, None).headline


def headers_of(kind: Kind, event_id: str, sent_at: datetime | None) -> dict[str, str]:
    """The headers of a try, but for the signature."""
    headers = {"content-type": "application/json", "user-agent": USER_AGENT, "accept-encoding": "identity"}
    if kind is not Kind.STANDARD:
        return headers
    at = {} if sent_at is None else {"webhook-timestamp": str(int(sent_at.timestamp()))}
    return {**headers, "webhook-id": event_id, **at}


def shown_request(endpoint: Endpoint, event: Event, sent_at: datetime | None, public_url: str | None) -> dict[str, Any]:
    """What the delivery log tells of the latest try's request. A signature is good for some minutes: it is not told."""
    kind = Kind(endpoint.kind)
    told: dict[str, Any] = {"url": endpoint.url, "body": body_of(kind, event, public_url).decode()}
    if kind is Kind.EMAIL:
        return {"method": "SMTP", "headers": {"subject": subject_of(event)}, **told}
    headers = headers_of(kind, event.id, sent_at)
    signed = {SIGNATURE: "v1,[not shown]"} if kind.is_signed and sent_at is not None else {}
    return {"method": "POST", "headers": {**headers, **signed}, **told}


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "backslashreplace")
