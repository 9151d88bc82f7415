"""How much of something there may be in a time, as people write it."""

from __future__ import annotations

import re
from dataclasses import dataclass

UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
WRITTEN = re.compile(r"([1-9][0-9]{0,8})/(second|minute|hour|day)")


@dataclass(frozen=True)
class Rate:
    """`quota` within `seconds`."""

    quota: int
    seconds: int


def parse_rate(text: str) -> Rate | None:
    """`600/minute`, and the like for second, hour and day; None for `off`. Raises ValueError for another text."""
    if text == "off":
        return None
    if (found := WRITTEN.fullmatch(text)) is None:
        raise ValueError("must be 'off', or a number per second, minute, hour or day, such as '600/minute'")
    return Rate(int(found[1]), UNITS[found[2]])
