"""One letter over HTTP or SMTP: resolve, check, connect to the address that was checked, and say what came back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from ssl import SSLContext

import httpx2
from standardwebhooks import Webhook

from service.domain.endpoint import PORTS, Kind
from service.domain.leak import secret_parts
from service.domain.mask import mask
from service.domain.target import url_refusal
from service.flow.checked_call import LOOKUPS, ForbiddenTarget, checked_call
from service.flow.letter import SIGNATURE, Letter, headers_of
from service.flow.lookups import Lookups

TIMEOUT_SECONDS = 10
# An answer counts by its status; its text is for people who look at the log, and nobody waits long for it.
TEXT_SECONDS = 2
MAX_RESPONSE_BYTES = 2048
LONGEST_ERROR = 500
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


def http_client() -> httpx2.AsyncClient:
    """A client that follows nothing, and makes a connection for each letter: what was checked for one name is not good
    for another at the same address."""
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=0)
    return httpx2.AsyncClient(
        follow_redirects=False, timeout=TIMEOUT_SECONDS, trust_env=False, limits=limits, verify=_certificates()
    )


@cache
def _certificates() -> SSLContext:
    return httpx2.create_ssl_context(trust_env=False)


async def deliver(
    client: httpx2.AsyncClient, letter: Letter, allowed: Sequence[str], lookups: Lookups = LOOKUPS
) -> Outcome:
    """Send one letter over HTTP. Never raises for what the other side does."""
    started = time.monotonic()
    outcome = None
    try:
        # httpx2's timeouts are per read: an endpoint that answers a byte at a time would hold on for ever.
        async with asyncio.timeout(TIMEOUT_SECONDS):
            if (refusal := url_refusal(letter.url, allowed, ports=PORTS)) is not None:
                raise ForbiddenTarget(refusal)
            headers = {**headers_of(letter.kind, letter.event_id, letter.sent_at), **_signatures(letter)}
            call = await checked_call("POST", letter.url, headers, allowed, letter.body, lookups)
            async with client.stream(**call) as response:
                error = REDIRECT if response.is_redirect else None
                asked = response.headers.get("retry-after")
                outcome = Outcome(response.status_code, error, None, _since(started), asked)
                outcome = replace(outcome, response=_hidden(await _clipped(response), letter))
    except Exception as error:  # whatever it was, it is this endpoint's trouble and nobody else's
        if outcome is None:  # else there was an answer, and what followed does not matter
            outcome = Outcome(None, _hidden(told(error), letter), None, _since(started))
    return outcome


def told(error: Exception) -> str:
    """An error in the delivery log."""
    what = f"no answer within {TIMEOUT_SECONDS} seconds" if isinstance(error, TimeoutError) else str(error)
    return f"{type(error).__name__}: {what}"[:LONGEST_ERROR].replace("\0", "")


def _signatures(letter: Letter) -> dict[str, str]:
    """One for each secret that is good at present, as Standard Webhooks has it."""
    text = letter.body.decode()
    signed = [Webhook(secret).sign(letter.event_id, letter.sent_at, text) for secret in letter.secrets]
    return {SIGNATURE: " ".join(signed)} if signed else {}


async def _clipped(response: httpx2.Response) -> str:
    """The beginning of an answer, as it came over the wire: a packed one could unpack to any size."""
    read = b""
    try:
        async with asyncio.timeout(TEXT_SECONDS):
            async for chunk in response.aiter_raw():
                read += chunk
                if len(read) >= MAX_RESPONSE_BYTES:
                    break
    except (httpx2.HTTPError, TimeoutError):
        pass
    if (packed := response.headers.get("content-encoding", "identity")) != "identity" and read:
        return f"(packed as {packed[:40]}, which was not asked for)"
    return read[:MAX_RESPONSE_BYTES].decode("utf-8", "replace").replace("\0", "")


def _hidden(text: str, letter: Letter) -> str:
    """A text of the other side without the path of a channel's address: whoever knows it can post there."""
    if letter.kind is Kind.STANDARD:
        return text
    path = httpx2.URL(letter.url).raw_path.decode("ascii", "replace")
    return mask(text, secret_parts([path, *path.strip("/").replace("?", "/").split("/")]))


def _since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
