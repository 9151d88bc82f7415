"""One signed delivery over HTTP: resolve, check, connect to the address that was checked, and say what came back."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx2
from standardwebhooks import Webhook

from service.domain.moment import iso
from service.flow.checked_call import checked_call

TIMEOUT_SECONDS = 10
MAX_RESPONSE_BYTES = 2048
USER_AGENT = "tunegate-webhooks"


@dataclass(frozen=True)
class Letter:
    """What is sent: the event's id and body are the same for every try, the signature's timestamp is the try's."""

    event_id: str
    url: str
    secret: str
    body: bytes
    sent_at: datetime


@dataclass(frozen=True)
class Outcome:
    """What one try brought: an HTTP status with the clipped answer, or an error."""

    status: int | None
    error: str | None
    response: str | None
    latency_ms: int

    @property
    def is_success(self) -> bool:
        """2xx; a redirect is not followed and does not count."""
        return self.status is not None and 200 <= self.status < 300


def body_of(event_type: str, timestamp: datetime, data: dict[str, Any]) -> bytes:
    """Standard Webhooks' body."""
    body = {"type": event_type, "timestamp": iso(timestamp), "data": data}
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "backslashreplace")


async def deliver(client: httpx2.AsyncClient, letter: Letter, allowed: Sequence[str]) -> Outcome:
    """Send one letter. Never raises for what the other side does."""
    started = time.monotonic()
    try:
        # httpx2's timeouts are per read: an endpoint that answers a byte at a time would hold on for ever.
        async with asyncio.timeout(TIMEOUT_SECONDS):
            async with client.stream(**await _request(letter, allowed)) as response:
                text = await _clipped(response)
                return Outcome(response.status_code, None, text, _since(started))
    except Exception as error:  # whatever it was, it is this endpoint's trouble and nobody else's
        return Outcome(None, f"{type(error).__name__}: {error}"[:500], None, _since(started))


async def _request(letter: Letter, allowed: Sequence[str]) -> dict[str, Any]:
    headers = {
        "content-type": "application/json",
        "user-agent": USER_AGENT,
        "webhook-id": letter.event_id,
        "webhook-timestamp": str(int(letter.sent_at.timestamp())),
        "webhook-signature": Webhook(letter.secret).sign(letter.event_id, letter.sent_at, letter.body.decode()),
    }
    return await checked_call("POST", letter.url, headers, allowed, letter.body)


async def _clipped(response: httpx2.Response) -> str:
    read = b""
    async for chunk in response.aiter_bytes():
        read += chunk
        if len(read) >= MAX_RESPONSE_BYTES:
            break
    return read[:MAX_RESPONSE_BYTES].decode("utf-8", "replace").replace("\0", "")


def _since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
