"""Budgets and their windows. What moves in a window is the ledger's business; here are its borders and its limit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Row, func
from sqlmodel import Session, col, select

from service.domain.budget import DEFAULT_THRESHOLDS, Balance, Period, Scope, carried, crossed, following, window
from service.domain.moment import iso
from service.domain.money import to_usd
from service.store import events, organisation
from service.store.ids import new_id
from service.store.tables import Budget, BudgetWindow, LedgerEntry, ReservationWindow, Team


@dataclass(frozen=True)
class Owner:
    """Whose budget: nobody's in particular is the organisation's."""

    team: str | None = None
    user: str | None = None

    @property
    def subject(self) -> str:
        """Its name, unique among all owners."""
        if self.team is None:
            return "organisation"
        return self.team if self.user is None else f"{self.team}/{self.user}"

    @property
    def scope(self) -> Scope:
        """How wide it is."""
        if self.team is None:
            return Scope.ORGANISATION
        return Scope.TEAM if self.user is None else Scope.USER


@dataclass(frozen=True)
class Terms:
    """What a budget grants."""

    limit_micro_usd: int
    hard: bool = True
    carry_over: bool = False
    thresholds: tuple[int, ...] = DEFAULT_THRESHOLDS


def find(session: Session, owner: Owner, period: Period) -> Budget | None:
    """One budget that is in force."""
    return session.exec(
        select(Budget).where(
            Budget.subject == owner.subject, Budget.period == period.value, col(Budget.ended_at).is_(None)
        )
    ).first()


def above(session: Session, owner: Owner) -> list[Budget]:
    """Every budget that bounds an owner's runs, the nearest first."""
    subjects = [owner.subject, Owner(owner.team).subject, Owner().subject]
    found = session.exec(
        select(Budget).where(col(Budget.subject).in_(subjects), col(Budget.ended_at).is_(None)).order_by(Budget.period)
    ).all()
    return sorted(found, key=lambda budget: subjects.index(budget.subject))


def every(session: Session, team: str | None = None) -> list[Budget]:
    """All budgets in force; with a team, its own, its users' and the organisation's."""
    query = select(Budget).where(col(Budget.ended_at).is_(None)).order_by(Budget.subject, Budget.period)
    if team is not None:
        query = query.where((col(Budget.team) == team) | col(Budget.team).is_(None))
    return list(session.exec(query))


def without_window(session: Session, now: datetime) -> list[Budget]:
    """Budgets whose last window has ended."""
    has_window = (
        select(BudgetWindow.id)
        .where(BudgetWindow.budget_id == Budget.id, BudgetWindow.starts_at <= now, BudgetWindow.ends_at > now)
        .correlate(Budget)
        .exists()
    )
    return list(session.exec(select(Budget).where(col(Budget.ended_at).is_(None), ~has_window)))


def grant(session: Session, owner: Owner, period: Period, terms: Terms, by: str, now: datetime) -> Budget:
    """Set a budget's terms, and make it where there is none. Reservations made under other terms stay; the present
    window keeps its borders and what has moved in it. Audited as an event."""
    organisation.lock(session)
    budget = session.exec(select(Budget).where(Budget.subject == owner.subject, Budget.period == period.value)).first()
    before = None if budget is None or budget.ended_at is not None else _terms_json(budget)
    if budget is None:
        budget = Budget(
            id=new_id("bud", now),
            subject=owner.subject,
            scope=owner.scope.value,
            team=owner.team,
            user=owner.user,
            period=period.value,
            limit_micro_usd=0,
            thresholds=[],
            created_at=now,
            updated_at=now,
        )
    budget.limit_micro_usd = terms.limit_micro_usd
    budget.hard, budget.carry_over, budget.thresholds = terms.hard, terms.carry_over, list(terms.thresholds)
    budget.updated_at, budget.ended_at = now, None
    session.add(budget)
    session.flush()
    present = open_window(session, budget, now)
    _tell(session, budget, "budget.changed", now, by=by, before=before, after=_terms_json(budget))
    warn(session, budget, present, now)
    return budget


def end(session: Session, budget: Budget, by: str, now: datetime) -> None:
    """Take a budget away. Its windows stay with what was reserved and charged in them."""
    organisation.lock(session)
    session.refresh(budget)
    budget.ended_at = now
    session.add(budget)
    _tell(session, budget, "budget.changed", now, by=by, before=_terms_json(budget), after=None)


def add_once(session: Session, budget: Budget, amount: int, by: str, comment: str | None, now: datetime) -> None:
    """Add money to the present window alone: how one run is let past a limit without changing it."""
    organisation.lock(session)
    session.refresh(budget)
    present = open_window(session, budget, now)
    present.granted_micro_usd += amount
    session.add(present)
    session.flush()
    _tell(session, budget, "budget.granted", now, by=by, comment=comment, amount_usd=to_usd(amount))
    warn(session, budget, present, now)


def find_window(session: Session, budget: Budget, now: datetime) -> BudgetWindow | None:
    """The window around `now`; None where the period is new."""
    return session.exec(
        select(BudgetWindow).where(
            BudgetWindow.budget_id == budget.id, BudgetWindow.starts_at <= now, BudgetWindow.ends_at > now
        )
    ).first()


def open_window(session: Session, budget: Budget, now: datetime) -> BudgetWindow:
    """The window around `now`, held for a change; where the period is new it is made, and told as `budget.reset`."""
    if (present := find_window(session, budget, now)) is not None:
        session.refresh(present, with_for_update=True)
        return present
    latest = _latest(session, budget, now)
    present = new_window(session, budget, latest, now)
    session.add(present)
    session.flush()
    if latest is not None:
        _tell(session, budget, "budget.reset", now, **_window_json(session, budget, present))
    return present


def new_window(session: Session, budget: Budget, latest: BudgetWindow | None, now: datetime) -> BudgetWindow:
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


def window_or_new(session: Session, budget: Budget, now: datetime) -> BudgetWindow:
    """The window around `now` as it stands, for reading."""
    return find_window(session, budget, now) or new_window(session, budget, _latest(session, budget, now), now)


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


def zone_of(session: Session, budget: Budget) -> ZoneInfo:
    """The time zone in which its windows begin and end."""
    team = None if budget.team is None else session.get(Team, budget.team)
    return ZoneInfo(organisation.read(session).time_zone if team is None else team.time_zone)


def charged_since(session: Session, budget: Budget, since: datetime) -> int:
    """What was charged to a budget since then, in micro-dollars."""
    total = session.exec(
        select(func.coalesce(func.sum(LedgerEntry.amount_micro_usd), 0))
        .join(ReservationWindow, col(ReservationWindow.submission) == LedgerEntry.submission)
        .join(BudgetWindow, col(BudgetWindow.id) == ReservationWindow.window_id)
        .where(
            BudgetWindow.budget_id == budget.id, col(LedgerEntry.kind).in_(("charge", "stray")), LedgerEntry.at >= since
        )
    ).one()
    return int(total)


def warn(session: Session, budget: Budget, present: BudgetWindow, now: datetime) -> None:
    """Tell of each threshold that spending has reached, once per window, and of the end of the money."""
    standing = balance(session, budget, present)
    for percent in crossed(budget.thresholds, present.told_percent, standing):
        present.told_percent = percent
        session.add(present)
        _tell(
            session, budget, "budget.threshold_reached", now, percent=percent, **_window_json(session, budget, present)
        )
    if standing.spent >= standing.limit > 0:
        exhaust(session, budget, present, now)


def exhaust(session: Session, budget: Budget, present: BudgetWindow, now: datetime) -> None:
    """Tell, once per window, that what is left will not do for a run that waits, or that nothing is left."""
    if not present.is_exhausted:
        present.is_exhausted = True
        session.add(present)
        _tell(session, budget, "budget.exhausted", now, **_window_json(session, budget, present))


def length(period: Period) -> timedelta:
    """About how long a window is: for forecasts."""
    return {
        Period.DAY: timedelta(days=1),
        Period.WEEK: timedelta(days=7),
        Period.MONTH: timedelta(days=30),
        Period.TOTAL: timedelta(days=36500),
    }[period]


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


def _tell(session: Session, budget: Budget, event_type: str, now: datetime, **data: Any) -> None:
    budget.sequence += 1
    session.add(budget)
    told = {"budget": budget.name, "scope": budget.scope, "team": budget.team, "user": budget.user, **data}
    events.append(session, budget.id, budget.team, budget.sequence, event_type, told, now)


def _terms_json(budget: Budget) -> dict[str, Any]:
    return {
        "limit_usd": to_usd(budget.limit_micro_usd),
        "hard": budget.hard,
        "carry_over": budget.carry_over,
        "thresholds": list(budget.thresholds),
    }


def _window_json(session: Session, budget: Budget, present: BudgetWindow) -> dict[str, Any]:
    standing = balance(session, budget, present)
    return {
        "limit_usd": to_usd(standing.limit),
        "reserved_usd": to_usd(standing.reserved),
        "charged_usd": to_usd(standing.charged),
        "remaining_usd": to_usd(standing.remaining),
        "window_start": iso(present.starts_at),
        "window_end": iso(present.ends_at),
    }
