"""The Hub's rate limits: calls per user in fixed five-minute windows, told in headers of every answer.

hub-docs rate-limits.md: `RateLimit: "api";r=<left>;t=<seconds to reset>` and
`RateLimit-Policy: "fixed window";"api";q=<quota>;w=300`, 429 beyond the quota. `/resolve/` has a bucket of its own.
"""

from __future__ import annotations

from datetime import datetime

from service.sandbox.wire import Refusal

WINDOW_SECONDS = 300
QUOTA = 100_000  # the largest plan's, so that only a fault makes the limit felt


class RateLimit:
    """Counts calls per user and bucket."""

    def __init__(self) -> None:
        self._window = 0
        self._calls: dict[tuple[str, str], int] = {}

    def count(self, user: str, path: str, quota: int, now: datetime) -> tuple[dict[str, str], bool]:
        """Count one call: the headers its answer carries, and whether it is beyond the quota."""
        window, passed = divmod(int(now.timestamp()), WINDOW_SECONDS)
        if window != self._window:
            self._window, self._calls = window, {}
        bucket = "resolvers" if "/resolve/" in path else "api"
        calls = self._calls[user, bucket] = self._calls.get((user, bucket), 0) + 1
        headers = {
            "ratelimit": f'"{bucket}";r={max(0, quota - calls)};t={WINDOW_SECONDS - passed}',
            "ratelimit-policy": f'"fixed window";"{bucket}";q={quota};w={WINDOW_SECONDS}',
        }
        return headers, calls > quota


def too_many(seconds: int) -> Refusal:
    """The 429 answer; `seconds` until another call is welcome."""
    message = f"We had to rate limit you. Please wait {seconds} seconds before you call again."
    return Refusal(429, message, headers={"retry-after": str(seconds)})
