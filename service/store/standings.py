"""How all budgets stand at once: read as columns, for passes over thousands of teams."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Row, func
from sqlalchemy import select as select_columns
from sqlalchemy.orm import Mapped, aliased
from sqlmodel import Session, col

from service.domain.board import Purse
from service.domain.budget import NEVER, Balance, Period
from service.store import organisation
from service.store.batches import batches
from service.store.tables import Budget, BudgetWindow, LedgerEntry, ReservationWindow, Team

# By the names that `balance` reads, and what a purse needs beside them.
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
    col(Budget.origin),
    col(Budget.hard),
)


def purses(session: Session, now: datetime) -> dict[str, Purse]:
    """Every budget in force with its present window; one whose window has not been opened yet is not among them."""
    above = organisation.read(session)
    rows = session.execute(
        select_columns(*COLUMNS, col(Team.time_zone))
        .join(BudgetWindow, col(BudgetWindow.budget_id) == Budget.id)
        .join(Team, col(Team.name) == Budget.team, isouter=True)
        .where(col(Budget.ended_at).is_(None), is_around(BudgetWindow, now))
        .order_by(col(Budget.subject), col(Budget.period))
    )
    return {
        row.window_id: Purse(
            id=row.window_id,
            name=f"{row.subject}/{row.period}",
            team=row.team,
            user=row.user,
            origin=row.origin,
            balance=balance(session, row, row),
            hard=row.hard,
            ends_at=row.ends_at,
            next_limit=None if row.period == Period.TOTAL else row.limit_micro_usd,
            period=Period(row.period),
            zone=ZoneInfo(row.time_zone or above.time_zone),
        )
        for row in rows
    }


def is_around(window: type[BudgetWindow], now: datetime) -> ColumnElement[bool]:
    """Whether a moment is in a window. The one of a budget for good has no other before it: also where a clock that
    went ahead made it and was set back since, its money is not granted a second time."""
    return (col(window.ends_at) > now) & ((col(window.starts_at) <= now) | (col(window.ends_at) == NEVER))


def balance(session: Session, budget: Budget | Row[Any], present: BudgetWindow | Row[Any]) -> Balance:
    """How a window stands, given as objects or as a row that has their columns. Jobs outside the gate count where the
    organisation says so."""
    counts_outside = budget.team is None and organisation.read(session).counts_outside
    return Balance(
        budget.limit_micro_usd + present.carried_micro_usd + present.granted_micro_usd,
        present.reserved_micro_usd,
        present.charged_micro_usd,
        present.outside_micro_usd if counts_outside else 0,
    )


def charged_lately(session: Session, budget_ids: Collection[str], span: timedelta, now: datetime) -> dict[str, int]:
    """What was charged to budgets within this span, or since their present window began if that is later, in
    micro-dollars; those to which nothing was charged are not named."""
    present = aliased(BudgetWindow)
    # What was charged lately is little, and is summed up first; what belongs to a budget grows with its past.
    lately = (
        select_columns(
            col(LedgerEntry.submission), col(LedgerEntry.at), func.sum(LedgerEntry.amount_micro_usd).label("amount")
        )
        .where(col(LedgerEntry.kind).in_(("charge", "stray")), col(LedgerEntry.at) >= now - span)
        .group_by(col(LedgerEntry.submission), col(LedgerEntry.at))
        .subquery()
    )
    found: dict[str, int] = {}
    for ids in batches(budget_ids):
        sums = session.execute(
            select_columns(col(BudgetWindow.budget_id), func.sum(lately.c.amount))
            .select_from(lately)
            .join(ReservationWindow, col(ReservationWindow.submission) == lately.c.submission)
            # not by the index of windows: all that ever was reserved in a budget's is in it
            .join(BudgetWindow, col(BudgetWindow.id) == col(ReservationWindow.window_id).concat(""))
            .join(present, col(present.budget_id) == BudgetWindow.budget_id)
            .where(
                col(BudgetWindow.budget_id).in_(ids),
                is_around(present, now),
                lately.c.at >= col(present.starts_at),
            )
            .group_by(col(BudgetWindow.budget_id))
        )
        found.update({budget_id: int(total) for budget_id, total in sums})
    return found


def charged_in(session: Session, window_id: str) -> list[tuple[datetime, int]]:
    """When and how much was charged to a window, in the order of the ledger. They add up to its `charged`."""
    rows = session.execute(
        select_columns(col(LedgerEntry.at), col(LedgerEntry.amount_micro_usd))
        .join(ReservationWindow, col(ReservationWindow.submission) == LedgerEntry.submission)
        .where(col(ReservationWindow.window_id) == window_id, col(LedgerEntry.kind).in_(("charge", "stray")))
        .order_by(col(LedgerEntry.id))
    )
    return [(at, amount) for at, amount in rows]
