"""What monitoring reads at each scrape, from the database as it stands."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import case, func
from sqlmodel import Session, col, select

from service.domain.budget import Balance
from service.domain.run import ACTIVE, RunState
from service.domain.stray import Kind
from service.store import budgets, flavors, standings, teams, windows
from service.store.tables import Attempt, Budget, Delivery, Run, Stray


@dataclass(frozen=True)
class BilledTotals:
    """All attempts that were charged, in micro-USD. `billed` and `drift` are over those whose bill is known, and None
    where none is; `drifted` counts attempts whose bill differs from their charge."""

    metered: int
    billed: int | None
    drift: int | None
    unbilled: int
    drifted: int


@dataclass(frozen=True)
class Backlog:
    """What waits for the service. Ages in seconds, None where nothing is there to have one; `strays` counts live jobs
    that no run accounts for, by kind."""

    oldest_queued: float | None
    prices_age: float | None
    pending_deliveries: int
    strays: dict[str, int]


def balances(session: Session, now: datetime) -> list[tuple[Budget, Balance]]:
    """Every budget in force, and how its present window stands."""
    listed = budgets.every(session)
    present = windows.all_or_new(session, listed, now)
    return [(budget, standings.balance(session, budget, present[budget.id])) for budget in listed]


def billed_totals(session: Session) -> BilledTotals:
    """Metered against billed, over everything that was ever charged."""
    cost, billed = col(Attempt.cost_micro_usd), col(Attempt.billed_micro_usd)
    metered, bills, drift, unbilled, drifted = session.exec(
        select(
            func.coalesce(func.sum(cost), 0),
            func.sum(billed),
            func.sum(billed - cost),
            func.coalesce(func.sum(case((billed.is_(None) & (col(Attempt.minutes) > 0), 1), else_=0)), 0),
            func.coalesce(func.sum(case((billed != cost, 1), else_=0)), 0),
        ).where(cost.is_not(None))  # type: ignore[call-overload]
    ).one()
    return BilledTotals(
        int(metered),
        None if bills is None else int(bills),
        None if drift is None else int(drift),
        int(unbilled),
        int(drifted),
    )


def queued_and_active(session: Session) -> dict[str, tuple[int, int]]:
    """How many runs of each team wait, and how many hold a slot."""
    counts = {team.name: [0, 0] for team in teams.every(session)}
    for team, state, number in session.exec(
        select(Run.team, Run.state, func.count())
        .where(col(Run.state).in_([RunState.QUEUED.value, *(state.value for state in ACTIVE)]))
        .group_by(col(Run.team), col(Run.state))
    ):
        counts[team][state != RunState.QUEUED] += number
    return {team: (queued, active) for team, (queued, active) in counts.items()}


def backlog(session: Session, now: datetime) -> Backlog:
    """How far behind the service is."""
    oldest = session.exec(select(func.min(Run.created_at)).where(col(Run.state) == RunState.QUEUED.value)).one()
    read_at = flavors.last_read(session)
    pending = session.exec(select(func.count()).where(col(Delivery.state) == "pending")).one()
    live = session.exec(
        select(Stray.kind, func.count()).where(col(Stray.ended_at).is_(None)).group_by(col(Stray.kind))
    ).all()
    return Backlog(
        None if oldest is None else (now - oldest).total_seconds(),
        None if read_at is None else (now - read_at).total_seconds(),
        pending,
        {kind.value: 0 for kind in Kind} | dict(live),
    )
