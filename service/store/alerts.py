"""What a budget tells as events: changes, thresholds, the end of its money."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from service.domain.budget import crossed, reached
from service.domain.moment import iso
from service.domain.money import to_usd
from service.store import events
from service.store.batches import batches
from service.store.standings import balance
from service.store.tables import Budget, BudgetWindow, Event, LedgerEntry


def tell(session: Session, budget: Budget, event_type: str, now: datetime, **data: Any) -> None:
    """An event of a budget; `data` joins what says whose it is."""
    session.add(budget)
    events.add(session, [_event(budget, event_type, now, **data)])


def reset_all(session: Session, opened: Iterable[tuple[Budget, BudgetWindow]], now: datetime) -> None:
    """Tell of windows that began anew, all at once."""
    new = []
    for budget, window in opened:
        session.add(budget)
        new.append(_event(budget, "budget.reset", now, **window_json(session, budget, window)))
    events.add(session, new)


def _event(budget: Budget, event_type: str, now: datetime, **data: Any) -> Event:
    budget.sequence += 1
    told = {"budget": budget.name, "scope": budget.scope, "team": budget.team, "user": budget.user}
    told |= {"origin": budget.origin, **data}
    return events.made(budget.id, budget.team, budget.sequence, event_type, told, now)


def warn(session: Session, budget: Budget, present: BudgetWindow, now: datetime) -> None:
    """Tell of each threshold that spending has reached, once per window, and of the end of the money."""
    standing = balance(session, budget, present)
    for percent in crossed(budget.thresholds, present.told_percent, standing):
        present.told_percent = percent
        session.add(present)
        tell(session, budget, "budget.threshold_reached", now, percent=percent, **window_json(session, budget, present))
    if standing.spent >= standing.limit > 0:
        exhaust(session, budget, present, now)


def rearm(session: Session, budget: Budget, present: BudgetWindow, is_more: bool) -> None:
    """After a change of a window's limit: thresholds that spending is below now will be told of again, and so will the
    end of the money where there is more of it."""
    standing = balance(session, budget, present)
    if standing.limit > 0:
        present.told_percent = min(present.told_percent, reached(budget.thresholds, standing))
    if is_more and standing.spent < standing.limit:
        present.is_exhausted = False
    session.add(present)


def overrun(session: Session, budget: Budget, present: BudgetWindow, entry: LedgerEntry, now: datetime) -> None:
    """Tell that an attempt cost more than was reserved for it: its entry says by how much."""
    about = {"run_id": entry.run_id, "attempt": entry.attempt, "overrun_usd": to_usd(entry.amount_micro_usd)}
    tell(session, budget, "budget.overrun", now, **about, **window_json(session, budget, present))


def exhaust(session: Session, budget: Budget, present: BudgetWindow, now: datetime) -> None:
    """Tell, once per window, that what is left will not do for a run that waits, or that nothing is left."""
    if not present.is_exhausted:
        present.is_exhausted = True
        session.add(present)
        tell(session, budget, "budget.exhausted", now, **window_json(session, budget, present))


def exhaust_all(session: Session, window_ids: Collection[str], now: datetime) -> None:
    """`exhaust` for each of these windows; those that were told of before are not even read."""
    for some in batches(sorted(window_ids)):
        untold = session.exec(
            select(Budget, BudgetWindow)
            .join(BudgetWindow, col(BudgetWindow.budget_id) == Budget.id)
            .where(col(BudgetWindow.id).in_(some), col(BudgetWindow.is_exhausted).is_(False))
        ).all()
        for budget, window in untold:
            exhaust(session, budget, window, now)


def window_json(session: Session, budget: Budget, present: BudgetWindow) -> dict[str, Any]:
    """How a window stands, in dollars, by the names of the budget object."""
    standing = balance(session, budget, present)
    return {
        "limit_usd": to_usd(budget.limit_micro_usd),
        "carried_usd": to_usd(present.carried_micro_usd),
        "granted_usd": to_usd(present.granted_micro_usd),
        "reserved_usd": to_usd(standing.reserved),
        "charged_usd": to_usd(standing.charged),
        "remaining_usd": to_usd(standing.remaining),
        "window_start": iso(present.starts_at),
        "window_end": iso(present.ends_at),
    }
