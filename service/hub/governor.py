"""Keeps calls to Hugging Face inside its rate limit, so that polling can never block a cancel or a submission.

HF counts calls per token in fixed windows of 300 s and says in every answer what is left
(`RateLimit: "api";r=<left>;t=<seconds>`, `RateLimit-Policy: …;q=<limit>`; IETF draft 09, hub-docs rate-limits.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from huggingface_hub.utils import parse_ratelimit_headers

# Polling leaves this share of a window to submissions and cancels, and submissions this one to cancels.
RESERVED_SHARE = 0.2
CANCELS_SHARE = 0.05
# Of what polling may use, so much goes to the lists of active jobs; the rest is for facts, endings and logs.
LISTS_SHARE = 0.6
# Lists so short that they cost next to nothing are read whenever somebody has a reason to.
UNNOTICED_SECONDS = 1
WINDOW = timedelta(seconds=300)


@dataclass
class Governor:
    """One per client. `observe` after every answer, `may_poll` before every call that can wait, `may_submit` before
    those for a new job, and `may_list` before a list of active jobs, which takes a call per page."""

    remaining: int | None = None
    limit: int | None = None
    resets_at: datetime | None = None
    # by namespace: when its active jobs were last listed, and how many calls that took
    lists: dict[str, tuple[datetime, int]] = field(default_factory=dict)

    def observe(self, headers: Mapping[str, str], now: datetime) -> None:
        """Take over what an answer says of the window."""
        info = parse_ratelimit_headers(headers)
        if info is None or info.resource_type != "api":
            return
        self.remaining = info.remaining
        self.limit = info.limit
        self.resets_at = now + timedelta(seconds=info.reset_in_seconds)

    def may_poll(self, now: datetime) -> bool:
        """Whether a call that can wait should be made now."""
        return self._leaves(RESERVED_SHARE, now)

    def may_submit(self, now: datetime) -> bool:
        """Whether a job should be made now, rather than in the next window."""
        return self._leaves(CANCELS_SHARE, now)

    def listed(self, namespace: str, calls: int, now: datetime) -> None:
        """Note a list of active jobs that was read to its end."""
        self.lists[namespace] = (now, calls)

    def may_list(self, namespace: str, now: datetime) -> bool:
        """Whether the active jobs of a namespace should be listed now. The longer the lists, the rarer: what the window
        has left for them is spread over what is left of it."""
        if not self.may_poll(now):
            return False
        at, _ = self.lists.get(namespace, (None, 0))
        # a clock that was set back must not keep it waiting
        return at is None or not timedelta(0) <= now - at < timedelta(seconds=self.list_seconds(now))

    def list_seconds(self, now: datetime) -> float:
        """How long one round of all lists has to last, for the budget's sake: 0 where nothing is known of a limit."""
        calls = sum(calls for _, calls in self.lists.values())
        if self.limit is None or self.remaining is None or self.resets_at is None:
            return 0
        left, seconds = float(self.remaining), (self.resets_at - now).total_seconds()
        if seconds <= 0:  # a new window has begun
            left, seconds = float(self.limit), WINDOW.total_seconds()
        for_lists = (left - self.limit * RESERVED_SHARE) * LISTS_SHARE
        needed = seconds if for_lists <= calls else calls * seconds / for_lists
        return needed if needed >= UNNOTICED_SECONDS else 0

    def left(self, now: datetime) -> int:
        """Calls left of the window, where a limit is known."""
        is_over = self.resets_at is not None and now >= self.resets_at
        return (self.limit if is_over else self.remaining) or 0

    def _leaves(self, share: float, now: datetime) -> bool:
        if self.remaining is None or self.resets_at is None or now >= self.resets_at:
            return True
        return self.remaining > (self.limit or 0) * share
