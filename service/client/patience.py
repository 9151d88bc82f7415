"""When a call that went wrong is made again, and after how long."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from service.client.call import Call

FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 8.0
LONGEST_RETRY_AFTER_SECONDS = 120.0
# Answers after which the same may go well. The service's own 429 and 503 say that nothing was done.
PASSING = {429, 502, 503, 504}


@dataclass(frozen=True)
class Reply:
    """An answer, read whole (of a stream: its head)."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""
    sent_to: str = ""


@dataclass(frozen=True)
class Fault:
    """No answer. `never_sent`: there was no connection, so nothing can have been done."""

    why: str
    never_sent: bool
    sent_to: str = ""


@dataclass(frozen=True)
class Patience:
    """How often a call is made again. `dice` gives numbers from 0 to 1, so that clients that were cut off together do
    not come back together."""

    retries: int
    dice: Callable[[], float]

    def pause(self, call: Call[Any], outcome: Reply | Fault, tries: int) -> float | None:
        """Seconds until the call is made again, after so many tries; None where it is not."""
        if tries > self.retries or not _may_repeat(call, outcome):
            return None
        if isinstance(outcome, Reply) and (asked := retry_after(outcome)) is not None:
            return asked if asked <= LONGEST_RETRY_AFTER_SECONDS else None
        return self.backoff(tries)

    def backoff(self, tries: int) -> float:
        """Doubled each time, up to eight seconds, of which a random half is taken off."""
        most = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(tries, 10))
        return most * (0.5 + 0.5 * self.dice())


def retry_after(reply: Reply) -> float | None:
    """The header's seconds; a date counts from the answer's own Date."""
    text = reply.headers.get("retry-after", "").strip()
    if text.isdecimal():
        return float(text)
    try:
        wait = parsedate_to_datetime(text) - parsedate_to_datetime(reply.headers.get("date", ""))
    except (TypeError, ValueError):
        return None
    return max(0.0, wait.total_seconds())


def _may_repeat(call: Call[Any], outcome: Reply | Fault) -> bool:
    if isinstance(outcome, Fault):
        return call.repeats or outcome.never_sent
    if outcome.status not in PASSING:
        return False
    is_ours = outcome.headers.get("content-type", "").startswith("application/problem+json")
    return call.repeats or outcome.status == 429 or (outcome.status == 503 and is_ours)
