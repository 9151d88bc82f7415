"""A running training as its guards see it, and what a guard says of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from service.domain import money
from service.domain.guards import Guard
from service.domain.progress import Reader


@dataclass(frozen=True)
class Watched:
    """A running attempt. `p90_micro_usd` is the estimate's cost; None where there was none."""

    reader: Reader
    started_at: datetime
    timeout_seconds: int
    price_per_minute_micro_usd: int
    p90_micro_usd: int | None = None

    def cost_after(self, seconds: float) -> int:
        """Micro-dollars of the attempt, if it ran for so long."""
        return self.price_per_minute_micro_usd * money.minutes(math.ceil(seconds * 1000))


@dataclass(frozen=True)
class Alarm:
    """What a guard found. `is_certain`: enough to end the job for, where the run wants that. `remedy` is for another
    run: this one can only be cancelled or left to run. `numbers` are its arithmetic, in seconds and dollars."""

    guard: Guard
    message: str
    evidence: str
    remedy: str
    is_certain: bool
    numbers: dict[str, Any] = field(default_factory=dict)


def told(seconds: float) -> str:
    """Seconds for people: `40 s`, `12 min`, `3.5 h`."""
    seconds = max(0.0, seconds)
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
