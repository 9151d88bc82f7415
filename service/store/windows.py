"""The windows of budgets: one row for each period, with fixed borders."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import func, true
from sqlmodel import Session, col, select

from service.domain.budget import Period, carried, following, window
from service.store import alerts, organisation, runs
from service.store.ids import new_id
from service.store.standings import balance
from service.store.tables import Budget, BudgetWindow, Run, Team


def without_window(session: Session, now: datetime) -> list[Budget]:
    """Budgets whose last window has ended."""
    has_window = (
        select(BudgetWindow.id)
        .where(BudgetWindow.budget_id == Budget.id, BudgetWindow.starts_at <= now, BudgetWindow.ends_at > now)
        .correlate(Budget)
        .exists()
    )
    return list(session.exec(select(Budget).where(col(Budget.ended_at).is_(None), ~has_window)))


def find(session: Session, budget: Budget, now: datetime) -> BudgetWindow | None:
    """The window around `now`; None where the period is new."""
    return session.exec(
        select(BudgetWindow).where(
            BudgetWindow.budget_id == budget.id, BudgetWindow.starts_at <= now, BudgetWindow.ends_at > now
        )
    ).first()


def ensure(session: Session, budget: Budget, now: datetime) -> BudgetWindow:
    """The window around `now`, held for a change; where the period is new it is made, and told as `budget.reset`."""
    if (present := find(session, budget, now)) is not None:
        session.refresh(present, with_for_update=True)
        return present
    latest = _latest(session, budget, now)
    present = _new(session, budget, latest, now)
    session.add(present)
    session.flush()
    if latest is not None:
        alerts.tell(session, budget, "budget.reset", now, **alerts.window_json(session, budget, present))
        look_again(session, budget)
    return present


def hand_on(session: Session, budget: Budget, present: BudgetWindow, now: datetime) -> None:
    """Where the present window is followed by one already, as after a wrong clock was set back, what is carried over
    follows what moves here: it is not handed out while it may still be spent. A window that has ended hands on what it
    had at its end; what comes back to it later is gone."""
    if not budget.carry_over or not present.starts_at <= now < present.ends_at:
        return
    earlier = present
    for later in session.exec(
        select(BudgetWindow)
        .where(BudgetWindow.budget_id == budget.id, BudgetWindow.starts_at >= present.ends_at)
        .order_by(col(BudgetWindow.starts_at))
    ).all():
        is_adjacent = earlier.ends_at == later.starts_at
        later.carried_micro_usd = carried(balance(session, budget, earlier), is_adjacent, budget.limit_micro_usd)
        session.add(later)
        session.flush()
        earlier = later


def look_again(session: Session, budget: Budget) -> None:
    """Admission decides anew about runs that this budget could not have held as it was."""
    runs.unpark(session, "money", true() if budget.team is None else col(Run.team) == budget.team)


def find_or_new(session: Session, budget: Budget, now: datetime) -> BudgetWindow:
    """The window around `now` as it stands, for reading."""
    return find(session, budget, now) or _new(session, budget, _latest(session, budget, now), now)


def _new(session: Session, budget: Budget, latest: BudgetWindow | None, now: datetime) -> BudgetWindow:
    """A window as it would be made now, after the latest one."""
    zone, period = zone_of(session, budget), Period(budget.period)
    if latest is None:
        starts_at, ends_at = window(period, now, zone)
        carry = 0
    else:
        starts_at, ends_at = following(period, latest.ends_at, now, zone)
        carry = carried(balance(session, budget, latest), latest.ends_at == starts_at, budget.limit_micro_usd)
    if (later := _next_start(session, budget, now)) is not None:
        ends_at = min(ends_at, later)  # the clock was set back: never into a window that was made before
    return BudgetWindow(
        id=new_id("win", now),
        budget_id=budget.id,
        starts_at=starts_at,
        ends_at=ends_at,
        carried_micro_usd=carry if budget.carry_over else 0,
    )


def zone_of(session: Session, budget: Budget) -> ZoneInfo:
    """The time zone in which its windows begin and end."""
    team = None if budget.team is None else session.get(Team, budget.team)
    return ZoneInfo(organisation.read(session).time_zone if team is None else team.time_zone)


def _latest(session: Session, budget: Budget, now: datetime) -> BudgetWindow | None:
    return session.exec(
        select(BudgetWindow)
        .where(BudgetWindow.budget_id == budget.id, BudgetWindow.ends_at <= now)
        .order_by(col(BudgetWindow.ends_at).desc())
        .limit(1)
    ).first()


def _next_start(session: Session, budget: Budget, now: datetime) -> datetime | None:
    return session.exec(
        select(func.min(BudgetWindow.starts_at)).where(
            BudgetWindow.budget_id == budget.id, col(BudgetWindow.starts_at) > now
        )
    ).one()
