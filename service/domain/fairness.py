"""Who goes first: between teams by dollars used, within a team by priority and age.

Between teams, each dollar counts half as much after a half-life, so the past is forgiven but not at once; a reservation
counts from the moment it is made, so that a burst cannot outrun its own accounting (the "entry penalty" of Kueue's
admission fair sharing). The rule hands out whatever is free: an idle team's share is used by the others, and comes back
because its usage has meanwhile become the lowest.
"""

from __future__ import annotations

from datetime import datetime, timedelta

HALF_LIFE = timedelta(days=7)

# One point of priority is worth this much waiting: the least priority passes the greatest after 25 hours, so nothing
# starves. The order follows from creation and priority alone and never has to be computed anew.
AGEING = timedelta(minutes=15)


def rank(created_at: datetime, priority: int) -> int:
    """A run's place in its team's queue, in milliseconds: the smallest goes first."""
    return round((created_at.timestamp() - priority * AGEING.total_seconds()) * 1000)


def decayed(usage: float, at: datetime | None, now: datetime, half_life: timedelta = HALF_LIFE) -> float:
    """What usage that stood at `usage` micro-dollars at `at` counts now."""
    if at is None or usage <= 0:
        return 0.0
    age: float = max(0.0, (now - at) / half_life)
    return usage * 0.5**age if age < 1000 else 0.0


def share(usage: float, weight: float) -> float:
    """What orders the teams: the lowest goes first. A team of weight 2 may use twice the dollars."""
    return usage / weight
