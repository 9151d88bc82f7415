"""The ledger: append-only entries of reserved and spent money, and the windows' sums that follow from them.

A reservation is opened once per submission and closed once: charge + release = reserve + overrun. The sums on
`budget_window` change here and nowhere else, in the transaction of the entries that they sum up.
"""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session, col, select, update

from service.domain.budget import Balance, month_window
from service.store.ids import new_id
from service.store.tables import Attempt, Budget, BudgetWindow, LedgerEntry
from service.store.upsert import insert_unless_there


def budget_of(session: Session, team: str) -> Budget | None:
    """The team's monthly budget."""
    return session.exec(select(Budget).where(Budget.team == team, Budget.period == "month")).first()


def find_window(session: Session, budget: Budget, now: datetime) -> BudgetWindow | None:
    """The window around `now`; None where nothing has moved in this period yet."""
    return session.exec(
        select(BudgetWindow).where(
            BudgetWindow.budget_id == budget.id, BudgetWindow.starts_at <= now, BudgetWindow.ends_at > now
        )
    ).first()


def open_window(session: Session, budget: Budget, now: datetime) -> BudgetWindow:
    """The window around `now`, held for a change; made where the period is new."""
    if (window := find_window(session, budget, now)) is None:
        insert_unless_there(session, BudgetWindow, _new_window(budget, now).model_dump())
        window = find_window(session, budget, now)
        assert window is not None
    session.refresh(window, with_for_update=True)
    return window


def window_or_new(session: Session, budget: Budget, now: datetime) -> BudgetWindow:
    """The window around `now` as it stands, for reading: a period in which nothing has moved shows zeros."""
    return find_window(session, budget, now) or _new_window(budget, now)


def balance(budget: Budget, window: BudgetWindow) -> Balance:
    """How a window stands."""
    return Balance(budget.limit_micro_usd, window.reserved_micro_usd, window.charged_micro_usd)


def reserve(session: Session, attempt: Attempt, now: datetime) -> None:
    """Hold an attempt's ceiling."""
    _post(session, attempt, "reserve", attempt.ceiling_micro_usd, _ceiling_minutes(attempt), now)
    _move(session, attempt.window_id, reserved=attempt.ceiling_micro_usd, charged=0)


def release(session: Session, attempt: Attempt, now: datetime) -> None:
    """Give the whole reservation back: no job was made, or none ever started."""
    _post(session, attempt, "release", attempt.ceiling_micro_usd, _ceiling_minutes(attempt), now)
    _move(session, attempt.window_id, reserved=-attempt.ceiling_micro_usd, charged=0)


def settle(session: Session, attempt: Attempt, billed_minutes: int, now: datetime) -> int:
    """Charge what was used and give the rest back; the cost in micro-dollars. Never clamped: more than was reserved
    is an overrun with an entry of its own."""
    cost = billed_minutes * attempt.price_per_minute_micro_usd
    rest = attempt.ceiling_micro_usd - cost
    _post(session, attempt, "charge", cost, billed_minutes, now)
    if rest < 0:
        _post(session, attempt, "overrun", -rest, billed_minutes - _ceiling_minutes(attempt), now)
    if rest > 0:
        _post(session, attempt, "release", rest, _ceiling_minutes(attempt) - billed_minutes, now)
    _move(session, attempt.window_id, reserved=-attempt.ceiling_micro_usd, charged=cost)
    return cost


def of_run(session: Session, run_id: str) -> list[LedgerEntry]:
    """A run's entries in the order they were made."""
    return list(session.exec(select(LedgerEntry).where(LedgerEntry.run_id == run_id).order_by(col(LedgerEntry.id))))


def _new_window(budget: Budget, now: datetime) -> BudgetWindow:
    starts_at, ends_at = month_window(now)
    return BudgetWindow(id=new_id("win", now), budget_id=budget.id, starts_at=starts_at, ends_at=ends_at)


def _post(session: Session, attempt: Attempt, kind: str, amount: int, minutes: int, now: datetime) -> None:
    session.add(
        LedgerEntry(
            run_id=attempt.run_id,
            attempt=attempt.attempt,
            submission=attempt.submission,
            window_id=attempt.window_id,
            kind=kind,
            amount_micro_usd=amount,
            price_per_minute_micro_usd=attempt.price_per_minute_micro_usd,
            minutes=minutes,
            at=now,
        )
    )
    session.flush()


def _move(session: Session, window_id: str, *, reserved: int, charged: int) -> None:
    session.exec(
        update(BudgetWindow)
        .where(col(BudgetWindow.id) == window_id)
        .values(
            reserved_micro_usd=BudgetWindow.reserved_micro_usd + reserved,
            charged_micro_usd=BudgetWindow.charged_micro_usd + charged,
        )
        # the sums are read again by whoever needs them in this transaction
        .execution_options(synchronize_session="fetch")
    )


def _ceiling_minutes(attempt: Attempt) -> int:
    return attempt.ceiling_micro_usd // max(1, attempt.price_per_minute_micro_usd)
