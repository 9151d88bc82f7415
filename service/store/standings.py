"""How all budgets stand at once: read as columns, for passes over thousands of teams."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement
from sqlalchemy import select as select_columns
from sqlalchemy.orm import Mapped
from sqlmodel import Session, col, select

from service.domain.board import Purse
from service.domain.budget import Period
from service.store import budgets
from service.store.tables import Budget, BudgetWindow

# A statement takes a bounded number of parameters.
IDS_AT_ONCE = 1_000

# By the names that `budgets.balance` reads, and what a purse needs beside them.
COLUMNS: tuple[Mapped[Any] | ColumnElement[Any], ...] = (
    col(BudgetWindow.id).label("window_id"),
    col(BudgetWindow.ends_at),
    col(BudgetWindow.carried_micro_usd),
    col(BudgetWindow.granted_micro_usd),
    col(BudgetWindow.reserved_micro_usd),
    col(BudgetWindow.charged_micro_usd),
    col(BudgetWindow.outside_micro_usd),
    col(Budget.limit_micro_usd),
    col(Budget.subject),
    col(Budget.period),
    col(Budget.team),
    col(Budget.user),
    col(Budget.hard),
)


def purses(session: Session, now: datetime) -> dict[str, Purse]:
    """Every budget in force with its present window; one whose window has not been opened yet is not among them."""
    rows = session.execute(
        select_columns(*COLUMNS)
        .join(BudgetWindow, col(BudgetWindow.budget_id) == Budget.id)
        .where(col(Budget.ended_at).is_(None), col(BudgetWindow.starts_at) <= now, col(BudgetWindow.ends_at) > now)
        .order_by(col(Budget.subject), col(Budget.period))
    )
    return {
        row.window_id: Purse(
            id=row.window_id,
            name=f"{row.subject}/{row.period}",
            team=row.team,
            user=row.user,
            balance=budgets.balance(session, row, row),
            hard=row.hard,
            ends_at=row.ends_at,
            next_limit=None if row.period == Period.TOTAL else row.limit_micro_usd,
            span=budgets.length(Period(row.period)),
        )
        for row in rows
    }


def exhaust(session: Session, window_ids: Collection[str], now: datetime) -> None:
    """`budgets.exhaust` for each of these windows; those that were told of before are not even read."""
    ids = iter(sorted(window_ids))
    while some := list(islice(ids, IDS_AT_ONCE)):
        untold = session.exec(
            select(Budget, BudgetWindow)
            .join(BudgetWindow, col(BudgetWindow.budget_id) == Budget.id)
            .where(col(BudgetWindow.id).in_(some), col(BudgetWindow.is_exhausted).is_(False))
        ).all()
        for budget, window in untold:
            budgets.exhaust(session, budget, window, now)
