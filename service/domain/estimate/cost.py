"""What the estimated minutes cost, and a timeout to give."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from service.domain.estimate.duration import Minutes
from service.domain.money import ceiling, minutes

# What people write: minutes up to an hour and a half, then hours, then days.
WRITTEN_MINUTES = (
    10,
    15,
    20,
    30,
    45,
    60,
    90,
    *(60 * h for h in (2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 36, 48, 72, 96)),
)
TIMEOUT_OVER_P90 = 1.25
DAY_MINUTES = 1440


@dataclass(frozen=True)
class Cost:
    """Micro-USD: at the median, at the 90th percentile, and the most that an attempt with the timeout can cost."""

    p50: int
    p90: int
    ceiling: int


def recommended_timeout(found: Minutes) -> int:
    """Seconds: above the p90 with a margin, rounded up to something that a person would write."""
    wanted = TIMEOUT_OVER_P90 * found.p90
    written = next((one for one in WRITTEN_MINUTES if one >= wanted), None)
    return 60 * (written if written is not None else DAY_MINUTES * ceil(wanted / DAY_MINUTES))


def cost_of(found: Minutes, price_per_minute_micro_usd: int, timeout_seconds: int) -> Cost:
    """Each started minute is billed; nothing runs longer than its timeout."""
    limit = ceiling(price_per_minute_micro_usd, timeout_seconds)
    p50, p90 = (
        min(limit, price_per_minute_micro_usd * minutes(ceil(value * 60_000))) for value in (found.p50, found.p90)
    )
    return Cost(p50, p90, limit)
