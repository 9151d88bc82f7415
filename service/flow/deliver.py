"""One letter over HTTP or SMTP: resolve, check, connect to the address that was checked, and say what came back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from ssl import SSLContext

import httpx2
from standardwebhooks import Webhook

from service.domain.endpoint import PORTS, Kind
from service.domain.leak import secret_parts
from service.domain.mask import mask
from service.domain.target import url_refusal
from service.flow.checked_call import LOOKUPS, ForbiddenTarget, checked_place
from service.flow.exchange import Answer, connect, request_bytes
from service.flow.letter import SIGNATURE, Letter, headers_of
from service.flow.lookups import Lookups

TIMEOUT_SECONDS = 10
# An answer counts by its status; its text is for people who look at the log, and nobody waits long for it.
TEXT_SECONDS = 2
MAX_RESPONSE_BYTES = 2048
LONGEST_ERROR = 500
REDIRECTS = (301, 302, 303, 307, 308)
REDIRECT = "a redirect, which is not followed"


@dataclass(frozen=True)
class Outcome:
    """What one try brought: a status (HTTP's, or of an e-mail SMTP's) with the clipped answer, or an error."""

    status: int | None
    error: str | None
    response: str | None
    latency_ms: int
    retry_after: str | None = None

    @property
    def is_success(self) -> bool:
        """2xx; a redirect is not followed and does not count."""
        return self.status is not None and 200 <= self.status < 300


@cache
def _certificates() -> SSLContext:
    context = httpx2.create_ssl_context(trust_env=False)
    context.set_alpn_protocols(["http/1.1"])
    return context


async def deliver(
    letter: Letter, allowed: Sequence[str], lookups: Lookups = LOOKUPS, tls: SSLContext | None = None
) -> Outcome:
    """Send one letter over HTTP, on a connection of its own: what was checked for one name is not good for another at
    the same address. `tls` says which certificates count; None: the usual ones. Never raises for what the other side
    does."""
    started = time.monotonic()
    transport: asyncio.Transport | None = None
    try:
        # one deadline for all of it: an endpoint that answers a byte at a time would hold on for ever
        async with asyncio.timeout(TIMEOUT_SECONDS):
            if (refusal := url_refusal(letter.url, allowed, ports=PORTS)) is not None:
                raise ForbiddenTarget(refusal)
            url, place = await checked_place(letter.url, allowed, lookups)
            transport, exchange = await connect(place, tls or _certificates(), MAX_RESPONSE_BYTES)
            headers = {**headers_of(letter.kind, letter.event_id, letter.sent_at), **_signatures(letter)}
            transport.write(request_bytes("POST", url.raw_path, url.netloc, headers, letter.body))
            await exchange.head
        latency_ms = _since(started)
        await asyncio.wait([exchange.whole], timeout=TEXT_SECONDS)
        return _outcome(exchange.answer, letter, latency_ms)
    except Exception as error:  # whatever it was, it is this endpoint's trouble and nobody else's
        return Outcome(None, _hidden(told(error), letter), None, _since(started))
    finally:
        if transport is not None:
            transport.abort()


def told(error: Exception) -> str:
    """An error in the delivery log."""
    what = f"no answer within {TIMEOUT_SECONDS} seconds" if isinstance(error, TimeoutError) else str(error)
    return f"{type(error).__name__}: {what}"[:LONGEST_ERROR].replace("\0", "")


def _signatures(letter: Letter) -> dict[str, str]:
    """One for each secret that is good at present, as Standard Webhooks has it."""
    text = letter.body.decode()
    signed = [Webhook(secret).sign(letter.event_id, letter.sent_at, text) for secret in letter.secrets]
    return {SIGNATURE: " ".join(signed)} if signed else {}


def _outcome(answer: Answer, letter: Letter, latency_ms: int) -> Outcome:
    is_redirect = answer.status in REDIRECTS and "location" in answer.headers
    return Outcome(
        answer.status,
        REDIRECT if is_redirect else None,
        _hidden(_text(answer), letter),
        latency_ms,
        answer.headers.get("retry-after"),
    )


def _text(answer: Answer) -> str:
    """The beginning of an answer, as it came over the wire: a packed one could unpack to any size."""
    if (packed := answer.headers.get("content-encoding", "identity")) != "identity" and answer.body:
        return f"(packed as {packed[:40]}, which was not asked for)"
    return answer.body.decode("utf-8", "replace").replace("\0", "")


def _hidden(text: str, letter: Letter) -> str:
    """A text of the other side without the path of a channel's address: whoever knows it can post there."""
    if letter.kind is Kind.STANDARD:
        return text
    path = httpx2.URL(letter.url).raw_path.decode("ascii", "replace")
    return mask(text, secret_parts([path, *path.strip("/").replace("?", "/").split("/")]))


def _since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
