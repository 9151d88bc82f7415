"""Hardware and prices as Hugging Face last listed them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import Any

from sqlmodel import Session, col, select

from service.domain.errors import UnknownFlavor
from service.store import runs
from service.store.shared import once
from service.store.tables import Attempt, Flavor, Run

# An older price is a guess.
MAX_PRICE_AGE = timedelta(hours=24)
SEEN_JOBS = 50


@dataclass(frozen=True)
class Listed:
    """A flavor of the Hub's list; the price in micro-USD per minute."""

    name: str
    price_per_minute_micro_usd: int
    hardware: dict[str, Any]


def replace_all(session: Session, listed: Iterable[Listed], now: datetime) -> None:
    """Take over a list that was just read; a flavor that is no longer listed keeps its old time and so grows stale."""
    before = {flavor.name: flavor.price_per_minute_micro_usd for flavor in every(session)}
    names, other_prices = [], []
    for one in listed:
        session.merge(
            Flavor(
                name=one.name,
                price_per_minute_micro_usd=one.price_per_minute_micro_usd,
                hardware=one.hardware,
                scheduling_p90_seconds=_measured_p90(session, one.name),
                read_at=now,
            )
        )
        names.append(one.name)
        if before.get(one.name) != one.price_per_minute_micro_usd:
            other_prices.append(one.name)
    runs.unpark(session, "price", col(Run.flavor).in_(names))
    runs.unpark(session, "money", col(Run.flavor).in_(other_prices))


def every(session: Session) -> list[Flavor]:
    """All flavors, cheapest first."""
    return list(session.exec(select(Flavor).order_by(col(Flavor.price_per_minute_micro_usd), col(Flavor.name))))


def refuse_unknown(session: Session, name: str, field: str) -> None:
    """Raise UnknownFlavor where Hugging Face's list is known and has no such flavor."""
    known = [flavor.name for flavor in every(session)]
    if known and name not in known:
        close = get_close_matches(name, known, n=3)
        raise UnknownFlavor(
            f"Hugging Face offers no flavor '{name}'",
            field=field,
            remedy=f"Did you mean {', '.join(close)}?" if close else "GET /flavors lists them with prices.",
        )


def fresh(listed: Iterable[Flavor], now: datetime) -> dict[str, int]:
    """Those prices of a list that can be trusted."""
    return {
        flavor.name: flavor.price_per_minute_micro_usd for flavor in listed if now - flavor.read_at <= MAX_PRICE_AGE
    }


def last_price(session: Session, name: str) -> int | None:
    """The price per minute in micro-USD as it was last read, however long ago: for a job that runs already."""
    flavor = session.get(Flavor, name)
    return None if flavor is None else flavor.price_per_minute_micro_usd


def hardware(session: Session, name: str) -> dict[str, Any] | None:
    """A flavor's item of the Hub's list, or None where it was never read."""
    flavor = _one(session, name)
    return None if flavor is None else flavor.hardware


def scheduling_p90(session: Session, name: str) -> timedelta | None:
    """How long a flavor took to start lately, nine times of ten; None where nothing is known of it."""
    flavor = session.get(Flavor, name)
    seconds = None if flavor is None else flavor.scheduling_p90_seconds
    return None if seconds is None else timedelta(seconds=seconds)


def _measured_p90(session: Session, name: str) -> float | None:
    """Nine of ten of a flavor's last jobs had hardware within these seconds."""
    rows = session.exec(
        select(Attempt.scheduled_at, Attempt.started_at)
        .where(Attempt.flavor == name, col(Attempt.scheduled_at).is_not(None), col(Attempt.started_at).is_not(None))
        .order_by(col(Attempt.admitted_at).desc())
        .limit(SEEN_JOBS)
    )
    waits = sorted(
        max(0.0, (started - scheduled).total_seconds()) for scheduled, started in rows if started and scheduled
    )
    return waits[min(len(waits) - 1, len(waits) * 9 // 10)] if waits else None


def last_read(session: Session) -> datetime | None:
    """When the list was last read."""
    return session.exec(select(Flavor.read_at).order_by(col(Flavor.read_at).desc()).limit(1)).first()


def fresh_price(session: Session, name: str, now: datetime) -> int | None:
    """The price per minute in micro-USD, or None where it is unknown or too old to trust."""
    flavor = _one(session, name)
    if flavor is None or now - flavor.read_at > MAX_PRICE_AGE:
        return None
    return flavor.price_per_minute_micro_usd


def _one(session: Session, name: str) -> Flavor | None:
    return once(session, ("flavor", name), lambda reader: reader.get(Flavor, name))
