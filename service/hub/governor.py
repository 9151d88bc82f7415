"""Keeps calls to Hugging Face inside its rate limit, so that polling can never block a cancel or a submission.

HF counts calls per token in fixed windows of 300 s and says in every answer what is left
(`RateLimit: "api";r=<left>;t=<seconds>`, `RateLimit-Policy: …;q=<limit>`; IETF draft 09, hub-docs rate-limits.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from huggingface_hub.utils import parse_ratelimit_headers

# Polling leaves this share of a window to cancels and submissions.
RESERVED_SHARE = 0.2


@dataclass
class Governor:
    """One per client. `observe` after every answer, `may_poll` before every call that can wait."""

    remaining: int | None = None
    limit: int | None = None
    resets_at: datetime | None = None

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
        if self.remaining is None or self.resets_at is None or now >= self.resets_at:
            return True
        return self.remaining > (self.limit or 0) * RESERVED_SHARE
