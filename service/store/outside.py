"""What jobs that did not come through the gate cost, in the windows of the organisation's budgets."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import func
from sqlmodel import Session, col, select

from service.domain.stray import Action, Kind
from service.store import alerts, budgets, organisation, windows
from service.store.tables import BudgetWindow, Stray

# A job that began in a window that has ended goes on costing; so long that window's sum is kept up to date.
LOOKS_BACK = timedelta(days=7)


def count(session: Session, now: datetime) -> int:
    """Set each window's sum anew from the strays, each in the window that it began in; how many windows changed. Where
    the organisation counts them, this may bring a budget to a threshold or over its limit."""
    organisation.lock(session)
    changed = 0
    for budget in budgets.every(session):
        if budget.team is not None:
            continue
        windows.ensure(session, budget, now)
        recent = select(BudgetWindow).where(
            BudgetWindow.budget_id == budget.id, col(BudgetWindow.ends_at) > now - LOOKS_BACK
        )
        for window in session.exec(recent).all():
            cost = _cost(session, window)
            if (window.outside_micro_usd, window.outside_unpriced) == cost:
                continue
            window.outside_micro_usd, window.outside_unpriced = cost
            session.add(window)
            session.flush()
            changed += 1
            if window.ends_at > now:
                alerts.warn(session, budget, window, now)
    return changed


def _cost(session: Session, window: BudgetWindow) -> tuple[int, int]:
    """Micro-dollars, and how many jobs are in that sum with nothing because their price is not known."""
    # What carries our label but is nobody's run is in no team's ledger: its money went outside, too.
    is_outside = (Stray.kind == Kind.OUTSIDE.value) | (
        (Stray.kind == Kind.UNKNOWN_RUN.value) & (Stray.action != Action.ADOPTED.value)
    )
    total, number, priced = session.exec(
        select(func.sum(Stray.cost_micro_usd), func.count(), func.count(col(Stray.cost_micro_usd))).where(
            is_outside, col(Stray.started_at) >= window.starts_at, col(Stray.started_at) < window.ends_at
        )
    ).one()
    return int(total or 0), number - priced
