"""Budgets: whose they are, what they grant, and who changed that. What moves in them is the ledger's business."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from service.domain.budget import DEFAULT_THRESHOLDS, Period, Scope
from service.domain.errors import Invalid
from service.domain.money import dollars, to_usd
from service.store import alerts, organisation, windows
from service.store.ids import new_id
from service.store.tables import Budget

# The organisation's budgets go by this name; no team may have it.
ORGANISATION = "organisation"


@dataclass(frozen=True)
class Owner:
    """Whose budget: nobody's in particular is the organisation's."""

    team: str | None = None
    user: str | None = None
    origin: str | None = None

    @property
    def subject(self) -> str:
        """Its name, unique among all owners."""
        if self.team is None:
            return ORGANISATION
        within = self.origin or self.user
        return self.team if within is None else f"{self.team}/{within}"

    @property
    def scope(self) -> Scope:
        """How wide it is."""
        if self.team is None:
            return Scope.ORGANISATION
        if self.origin is not None:
            return Scope.ORIGIN
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
    owners = (owner, Owner(owner.team, owner.user), Owner(owner.team), Owner())
    subjects = [one.subject for one in owners]
    found = session.exec(
        select(Budget).where(col(Budget.subject).in_(subjects), col(Budget.ended_at).is_(None)).order_by(Budget.period)
    ).all()
    return sorted(found, key=lambda budget: subjects.index(budget.subject))


def every(session: Session, team: str | None = None) -> list[Budget]:
    """All budgets in force; with a team, its own, its users' and the organisation's."""
    return list(session.exec(_in_force(team)))


def of_origin(session: Session, origin_id: str) -> list[Budget]:
    """The budgets in force of the runs that one schedule, say, makes."""
    return list(session.exec(_in_force(None).where(col(Budget.origin) == origin_id)))


def page(session: Session, team: str | None, after: str | None, limit: int) -> list[Budget]:
    """Budgets in force by name, those behind the name `after`; narrowed to a team as `every`."""
    query = _in_force(team).limit(limit)
    if after is not None:
        subject, _, period = after.rpartition("/")
        is_behind = (col(Budget.subject) == subject) & (col(Budget.period) > period)
        query = query.where((col(Budget.subject) > subject) | is_behind)
    return list(session.exec(query))


def _in_force(team: str | None) -> SelectOfScalar[Budget]:
    query = select(Budget).where(col(Budget.ended_at).is_(None)).order_by(col(Budget.subject), col(Budget.period))
    return query if team is None else query.where((col(Budget.team) == team) | col(Budget.team).is_(None))


def grant(session: Session, owner: Owner, period: Period, terms: Terms, by: str, now: datetime) -> Budget:
    """Set a budget's terms, and make it where there is none. Reservations made under other terms stay; the present
    window keeps its borders and what has moved in it. Audited as an event."""
    organisation.lock(session)
    budget = session.exec(select(Budget).where(Budget.subject == owner.subject, Budget.period == period.value)).first()
    before = None if budget is None or budget.ended_at is not None else _terms_json(budget)
    is_more = budget is not None and terms.limit_micro_usd > budget.limit_micro_usd
    if budget is None:
        budget = Budget(
            id=new_id("bud", now),
            subject=owner.subject,
            scope=owner.scope.value,
            team=owner.team,
            user=owner.user,
            origin=owner.origin,
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
    present = windows.ensure(session, budget, now)
    alerts.tell(session, budget, "budget.changed", now, by=by, before=before, after=_terms_json(budget))
    windows.hand_on(session, budget, present, now)
    windows.look_again(session, budget)
    alerts.rearm(session, budget, present, is_more)
    alerts.warn(session, budget, present, now)
    return budget


def end(session: Session, budget: Budget, by: str, now: datetime) -> None:
    """Take a budget away. Its windows stay with what was reserved and charged in them."""
    organisation.lock(session)
    session.refresh(budget)
    budget.ended_at = now
    session.add(budget)
    alerts.tell(session, budget, "budget.changed", now, by=by, before=_terms_json(budget), after=None)
    windows.look_again(session, budget)


def add_once(session: Session, budget: Budget, amount: int, by: str, comment: str | None, now: datetime) -> None:
    """Add money to the present window alone: how one run is let past a limit without changing it. A negative amount
    takes granted money back; raises Invalid for more than there is of it."""
    organisation.lock(session)
    session.refresh(budget)
    present = windows.ensure(session, budget, now)
    if present.granted_micro_usd + amount < 0:
        raise Invalid(
            f"{dollars(present.granted_micro_usd)} were granted in this window: no more can be taken back",
            field="amount_usd",
            remedy="To spend less than the limit, lower the limit.",
        )
    present.granted_micro_usd += amount
    session.add(present)
    session.flush()
    alerts.tell(session, budget, "budget.granted", now, by=by, comment=comment, amount_usd=to_usd(amount))
    windows.hand_on(session, budget, present, now)
    windows.look_again(session, budget)
    alerts.rearm(session, budget, present, is_more=amount > 0)
    alerts.warn(session, budget, present, now)


def _terms_json(budget: Budget) -> dict[str, Any]:
    return {
        "limit_usd": to_usd(budget.limit_micro_usd),
        "hard": budget.hard,
        "carry_over": budget.carry_over,
        "thresholds": list(budget.thresholds),
    }
