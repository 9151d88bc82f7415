"""Retry-After (RFC 9110, 10.2.3): seconds, or a date."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

# A receiver that wants to be left alone for longer is one that fails.
LONGEST = timedelta(hours=6)
# Discord sends fractions.
SECONDS = re.compile(r"\s*(\d{1,12}(?:\.\d{1,9})?)\s*", re.ASCII)


def retry_after(header: str | None, now: datetime) -> timedelta | None:
    """How long a receiver wants to be left alone, between nothing and six hours; None where it does not say."""
    if header is None:
        return None
    if (found := SECONDS.fullmatch(header)) is not None:
        return min(timedelta(seconds=math.ceil(float(found[1]))), LONGEST)
    try:
        until = parsedate_to_datetime(header)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    until = until if until.tzinfo is not None else until.replace(tzinfo=UTC)
    return min(max(until - now, timedelta(0)), LONGEST)
