"""Money in integer micro-dollars, and Hugging Face's minute rule.

HF bills each started minute of RUNNING at the flavor's price per minute; SCHEDULING is free (hub-docs, jobs-pricing:
"computed by the minute"; a public audit shows 78 s billed as 2 minutes). A price is `unitCostMicroUSD` per minute as
`GET /api/jobs/hardware` gives it.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

MICRO = 1_000_000
MINUTE_MS = 60_000

# No job costs a million dollars: such a bill is none, and sums of bills stay within 64 bits.
MOST_MICRO_USD = 10**12

# A kill takes a moment, and the minute it starts is billed: the ceiling holds one minute more than the timeout.
GRACE_MINUTES = 1

# Below this, image pull and dependency install eat the whole run.
MIN_CAPPED_TIMEOUT_SECONDS = 300


def to_micro_usd(usd: Decimal) -> int:
    """Decimal dollars (at most six digits after the point) as micro-dollars; raises ValueError for finer amounts."""
    micro = usd * MICRO
    if micro != micro.to_integral_value():
        raise ValueError("amounts have at most six digits after the point")
    return int(micro)


def to_usd(micro_usd: int) -> float:
    """Micro-dollars as the decimal dollars of the wire; six digits survive a double up to a billion dollars."""
    return micro_usd / MICRO


def dollars(micro_usd: int) -> str:
    """An amount for people: at least two digits after the point, more where they say something."""
    text = f"{micro_usd / MICRO:.6f}"
    whole, _, digits = text.partition(".")
    return f"${whole}.{digits.rstrip('0').ljust(2, '0')}"


def about(micro_usd: int) -> str:
    """A guess at an amount, for people: two digits after the point, unless they would say nothing."""
    return f"${micro_usd / MICRO:.2f}" if micro_usd >= MICRO // 100 else dollars(micro_usd)


def ceiling(price_per_minute_micro_usd: int, timeout_seconds: int) -> int:
    """The most an attempt can cost, in micro-dollars: what is reserved before it is submitted."""
    return price_per_minute_micro_usd * (minutes(timeout_seconds * 1000) + GRACE_MINUTES)


def minutes(running_ms: int) -> int:
    """Billed minutes of a job that started: each started minute counts, and one is the least."""
    return max(1, -(-running_ms // MINUTE_MS))


def elapsed_ms(start: datetime, end: datetime) -> int:
    """Milliseconds from one moment to another, 0 where a clock was set back between them."""
    return max(0, round((end - start).total_seconds() * 1000))


def timeout_for_cap(price_per_minute_micro_usd: int, cap_micro_usd: int) -> int:
    """The longest timeout in seconds whose ceiling fits a cost cap; less than 60 means that none does."""
    if price_per_minute_micro_usd <= 0:
        raise ValueError("a cap says nothing about a flavor that costs nothing")
    return (cap_micro_usd // price_per_minute_micro_usd - GRACE_MINUTES) * 60
