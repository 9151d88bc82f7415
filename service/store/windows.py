"""The windows of budgets: one row for each period, with fixed borders."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import func, true
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from service.domain.budget import Period, carried, following, window
from service.store import alerts, organisation, runs
from service.store.batches import batches
from service.store.ids import new_id
from service.store.standings import balance, is_around
from service.store.tables import Budget, BudgetWindow, Run, Team


def find(session: Session, budget: Budget, now: datetime) -> BudgetWindow | None:
    """The window around `now`; None where the period is new."""
    return _present(session, [budget], now).get(budget.id)


def find_or_new(session: Session, budget: Budget, now: datetime) -> BudgetWindow:
    """The window around `now` as it stands, for reading."""
    return all_or_new(session, [budget], now)[budget.id]


def all_or_new(session: Session, budgets: Sequence[Budget], now: datetime) -> dict[str, BudgetWindow]:
    """`find_or_new` for many budgets by their ids, in a few statements whatever their number."""
    present = _present(session, budgets, now)
    lacking = [budget for budget in budgets if budget.id not in present]
    return {**present, **{budget.id: made for budget, _, made in _made(session, lacking, now)}}


def ensure(session: Session, budget: Budget, now: datetime) -> BudgetWindow:
    """The window around `now`, held for a change; where the period is new it is made, and told as `budget.reset`."""
    if (present := find(session, budget, now)) is None:
        return _open(session, [budget], now)[0]
    session.refresh(present, with_for_update=True)
    return present


def ensure_all(session: Session, now: datetime) -> None:
    """`ensure` for all budgets whose last window has ended, in a few statements whatever their number."""
    if lacking := session.exec(_lacking(now)).all():
        _open(session, lacking, now)


def are_any_lacking(session: Session, now: datetime) -> bool:
    """Whether `ensure_all` would find any."""
    return session.exec(_lacking(now).limit(1)).first() is not None


def _lacking(now: datetime) -> SelectOfScalar[Budget]:
    has_window = (
        select(BudgetWindow.id)
        .where(BudgetWindow.budget_id == Budget.id, is_around(BudgetWindow, now))
        .correlate(Budget)
        .exists()
    )
    return select(Budget).where(col(Budget.ended_at).is_(None), ~has_window)


def _open(session: Session, budgets: Sequence[Budget], now: datetime) -> list[BudgetWindow]:
    made = _made(session, budgets, now)
    opened = [present for _, _, present in made]
    session.add_all(opened)
    session.flush()
    anew = [(budget, present) for budget, latest, present in made if latest is not None]
    alerts.reset_all(session, anew, now)
    look_again(session, *[budget for budget, _ in anew])
    return opened


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


def look_again(session: Session, *budgets: Budget) -> None:
    """Admission decides anew about runs that these budgets could not have held as they were."""
    if any(budget.team is None for budget in budgets):
        runs.unpark(session, "money", true())
        return
    for teams in batches(sorted({budget.team for budget in budgets if budget.team is not None})):
        runs.unpark(session, "money", col(Run.team).in_(teams))


def _present(session: Session, budgets: Sequence[Budget], now: datetime) -> dict[str, BudgetWindow]:
    found = {}
    for ids in batches(budget.id for budget in budgets):
        around = select(BudgetWindow).where(col(BudgetWindow.budget_id).in_(ids), is_around(BudgetWindow, now))
        found.update({present.budget_id: present for present in session.exec(around)})
    return found


def _made(
    session: Session, budgets: Sequence[Budget], now: datetime
) -> list[tuple[Budget, BudgetWindow | None, BudgetWindow]]:
    """Windows as they would be made now, each after the latest one of its budget."""
    latest, later = _latest(session, budgets, now), _next_starts(session, budgets, now)
    zones = _zones(session, budgets)
    found = []
    for budget in budgets:
        before, zone, period = latest.get(budget.id), zones[budget.id], Period(budget.period)
        carry = 0
        if before is None:
            starts_at, ends_at = window(period, now, zone)
        else:
            starts_at, ends_at = following(period, before.ends_at, now, zone)
            if budget.carry_over:
                is_adjacent = before.ends_at == starts_at
                carry = carried(balance(session, budget, before), is_adjacent, budget.limit_micro_usd)
        # Where the clock was set back: never into a window that was made before.
        ends_at = min(ends_at, later.get(budget.id, ends_at))
        made = BudgetWindow(
            id=new_id("win", now), budget_id=budget.id, starts_at=starts_at, ends_at=ends_at, carried_micro_usd=carry
        )
        found.append((budget, before, made))
    return found


def _zones(session: Session, budgets: Sequence[Budget]) -> dict[str, ZoneInfo]:
    """The time zones in which budgets' windows begin and end: their team's, or the organisation's."""
    names: dict[str, str] = {}
    for teams in batches(sorted({budget.team for budget in budgets if budget.team is not None})):
        names.update(session.exec(select(Team.name, Team.time_zone).where(col(Team.name).in_(teams))).all())
    above = organisation.read(session).time_zone if budgets else ""
    return {budget.id: ZoneInfo(above if budget.team is None else names[budget.team]) for budget in budgets}


def _latest(session: Session, budgets: Sequence[Budget], now: datetime) -> dict[str, BudgetWindow]:
    found = {}
    for ids in batches(budget.id for budget in budgets):
        ends = (
            select(BudgetWindow.budget_id, func.max(BudgetWindow.ends_at).label("ends_at"))
            .where(col(BudgetWindow.budget_id).in_(ids), BudgetWindow.ends_at <= now)
            .group_by(col(BudgetWindow.budget_id))
            .subquery()
        )
        is_last = (col(BudgetWindow.budget_id) == ends.c.budget_id) & (col(BudgetWindow.ends_at) == ends.c.ends_at)
        found.update({last.budget_id: last for last in session.exec(select(BudgetWindow).join(ends, is_last))})
    return found


def _next_starts(session: Session, budgets: Sequence[Budget], now: datetime) -> dict[str, datetime]:
    found: dict[str, datetime] = {}
    for ids in batches(budget.id for budget in budgets):
        starts = (
            select(BudgetWindow.budget_id, func.min(BudgetWindow.starts_at))
            .where(col(BudgetWindow.budget_id).in_(ids), BudgetWindow.ends_at > now, BudgetWindow.starts_at > now)
            .group_by(col(BudgetWindow.budget_id))
        )
        found.update(session.exec(starts).all())
    return found
