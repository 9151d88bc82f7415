"""means: what a run has left for another try, and what one can cost."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session

from service.domain.admission import cap_refusal, effective_timeout
from service.domain.duration import MAX_SECONDS
from service.domain.money import MICRO, MIN_CAPPED_TIMEOUT_SECONDS, ceiling, dollars
from service.store import flavors, heads
from service.store.tables import Attempt, Run


@dataclass(frozen=True)
class Means:
    """Of a run whose last attempt is charged. `left`: micro-dollars of its cap, None without one. `timeout_seconds`: of
    another try, None where the rest of the cap says how long."""

    session: Session
    run: Run
    attempt: Attempt
    left: int | None
    timeout_seconds: int | None
    now: datetime

    def price(self, flavor: str) -> int | None:
        """Micro-dollars per minute; of the flavor that it ran on, the price then where none is known now."""
        price = flavors.fresh_price(self.session, flavor, self.now)
        return self.attempt.price_per_minute_micro_usd if price is None and flavor == self.attempt.flavor else price

    def ceiling(self, flavor: str) -> int | None:
        """The most that a try there can cost, in micro-dollars; None without a price."""
        if (price := self.price(flavor)) is None:
            return None
        timeout = effective_timeout(self.timeout_seconds, self.left, price)
        return ceiling(price, max(timeout, MIN_CAPPED_TIMEOUT_SECONDS))

    def longest(self, flavor: str) -> int:
        """The longest timeout in seconds whose ceiling there the rest of the cap holds."""
        price = self.price(flavor)
        return MAX_SECONDS if price is None or self.left is None else effective_timeout(None, self.left, price)

    def refusal(self, flavor: str) -> str | None:
        """Why the run's cap does not hold another try there; None where it does."""
        price, cap = self.price(flavor), self.run.max_cost_micro_usd
        if price is None or cap is None or self.left is None:
            return None
        if (why := cap_refusal(self.timeout_seconds, self.left, price)) is None:
            return None
        return f"of max_cost_usd {dollars(cap)}, {dollars(cap - self.left)} are spent; for the rest, {why}"


def means_of(session: Session, run: Run, attempt: Attempt, now: datetime) -> Means:
    """The means of a run whose attempt has just been charged."""
    return Means(session, run, attempt, left_of_cap(session, run), run.requested_timeout_seconds, now)


def left_of_cap(session: Session, run: Run) -> int | None:
    """Micro-dollars of a run's cap that are not charged, by admission's own count; None without a cap."""
    session.flush()
    return heads.candidate(session, run).cap


def expected(estimate: dict[str, Any] | None) -> int | None:
    """What half of such runs cost at the most, in micro-dollars, by a stored estimate."""
    cost = (estimate or {}).get("cost_usd")
    return None if cost is None else round(cost["p50"] * MICRO)
