"""What monitoring reads at each scrape, from the database as it stands."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func
from sqlmodel import Session, col, select

from service.domain.budget import Balance
from service.domain.run import Reason, RunState
from service.domain.stray import Kind
from service.store import budgets, deliveries, flavors, organisation, standings, teams, windows
from service.store.tables import Budget, Lease, Run, Stray


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
class OpenRuns:
    """Runs that have not ended: how many wait and how many hold a slot, by team; why those that wait do, by reason as
    their own row has it (a run behind the first of its lane is `checking`) or `paused`; and for how many seconds each
    team's oldest has waited."""

    by_team: dict[str, tuple[int, int]]
    reasons: dict[str, int]
    ages: dict[str, float]


@dataclass(frozen=True)
class Held:
    """The lease of the steps: how often it has changed hands, and how long it is good for, in seconds."""

    fence: int
    left: float


@dataclass(frozen=True)
class Backlog:
    """What waits for the service. Ages in seconds, None where nothing is there to have one; `webhook_lag` is how long
    the oldest letter has been due of endpoints that do not fail, 0 where none is; `strays` counts live jobs that no run
    accounts for, by kind."""

    prices_age: float | None
    pending_deliveries: int
    webhook_lag: float
    strays: dict[str, int]


def balances(session: Session, now: datetime) -> list[tuple[Budget, Balance]]:
    """Every budget in force, and how its present window stands."""
    listed = budgets.every(session)
    present = windows.all_or_new(session, listed, now)
    return [(budget, standings.balance(session, budget, present[budget.id])) for budget in listed]


def billed_totals(session: Session) -> BilledTotals:
    """Metered against billed, over everything that was ever charged: kept as sums, however much that is."""
    above = organisation.read(session)
    return BilledTotals(
        above.metered_micro_usd,
        above.billed_micro_usd,
        above.drift_micro_usd,
        above.charged_attempts - above.billed_attempts,
        above.drifted_attempts,
    )


def open_runs(session: Session, now: datetime) -> OpenRuns:
    """What has not ended, counted in one pass over an index that holds all it needs."""
    listed = teams.every(session)
    counts = {team.name: [0, 0] for team in listed}
    paused = {team.name for team in listed if team.paused_at is not None}
    is_paused = organisation.read(session).paused_at is not None
    reasons: Counter[str] = Counter()
    oldest: dict[str, datetime] = {}
    for team, state, reason, number, first in session.exec(
        select(Run.team, Run.state, Run.reason, func.count(), func.min(Run.created_at))  # type: ignore[call-overload]
        .where(col(Run.finished_at).is_(None))
        .group_by(col(Run.state), col(Run.team), col(Run.reason))
    ):
        counts[team][state != RunState.QUEUED] += number
        if state == RunState.QUEUED:
            reasons[Reason.PAUSED.value if is_paused or team in paused else str(reason)] += number
            oldest[team] = min(first, oldest.get(team, first))
    ages = {team: (now - first).total_seconds() for team, first in oldest.items()}
    return OpenRuns({team: (queued, active) for team, (queued, active) in counts.items()}, dict(reasons), ages)


def backlog(session: Session, now: datetime) -> Backlog:
    """How far behind the service is."""
    read_at = flavors.last_read(session)
    well = [since for _, is_failing, since in deliveries.waiting(session, now) if not is_failing]
    live = session.exec(
        select(Stray.kind, func.count()).where(col(Stray.ended_at).is_(None)).group_by(col(Stray.kind))
    ).all()
    return Backlog(
        None if read_at is None else (now - read_at).total_seconds(),
        deliveries.count_pending(session),
        (now - min(well)).total_seconds() if well else 0,
        {kind.value: 0 for kind in Kind} | dict(live),
    )


def held(session: Session, now: datetime) -> Held | None:
    """The one lease as its row has it; None where there is none (SQLite has a lock on a file)."""
    lease = session.exec(select(Lease)).first()
    return None if lease is None else Held(lease.fence, max(0.0, (lease.expires_at - now).total_seconds()))
