"""Reads the board of admission: teams and the heads of their queues, active runs, money. Never the queue itself."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, func
from sqlmodel import Session, col, select

from service.domain.board import UNSEEN_SCHEDULING, Active, Board, Candidate, Purse
from service.domain.budget import Period
from service.domain.fairness import decayed
from service.domain.money import GRACE_MINUTES
from service.domain.run import ACTIVE
from service.domain.slots import SlotLimits
from service.store import budgets, flavors, organisation
from service.store.describe import cost_so_far, money_of
from service.store.tables import Attempt, Lane, LedgerEntry, ReservationWindow, Run, Team

# How many runs of a lane one pass looks at: the first, and those that might pass it.
DEPTH = 5
OVERDUE = timedelta(minutes=1)


def read(session: Session, most_active: int, now: datetime) -> Board:
    """The board as this transaction sees it; `most_active` is the installation's own limit of active runs."""
    waits = scheduling(session)
    teams = session.exec(select(Team)).all()
    return Board(
        now=now,
        limits=_limits(session, teams, most_active),
        prices=flavors.fresh_prices(session, now),
        scheduling=waits,
        purses=_purses(session, now),
        actives=_actives(session, waits, now),
        usage={team.name: decayed(team.usage_micro_usd, team.usage_at, now) for team in teams},
        weights={team.name: team.weight for team in teams},
    )


def scheduling(session: Session) -> dict[str, timedelta]:
    """How long flavors took to start lately, nine times of ten; those that nothing is known of are left out."""
    return {
        flavor.name: timedelta(seconds=flavor.scheduling_p90_seconds)
        for flavor in flavors.every(session)
        if flavor.scheduling_p90_seconds is not None
    }


def lanes_in_use(session: Session) -> int:
    """How many lanes have a ready run."""
    return session.exec(select(func.count()).select_from(Lane).where(_has_ready_run())).one()


def _has_ready_run() -> ColumnElement[bool]:
    return select(Run.id).where(Run.lane == Lane.name, col(Run.is_ready).is_(True)).correlate(Lane).exists()


def queued_namespaces(session: Session) -> list[str]:
    """Where queued runs would start."""
    return list(session.exec(select(Lane.namespace).where(_has_ready_run()).distinct()))


def heads(session: Session, depth: int = DEPTH) -> dict[str, list[Run]]:
    """The first ready runs of every lane of the teams that are not paused, by team and in the order of their rank."""
    first = (
        select(Run.id)
        .where(Run.lane == Lane.name, col(Run.is_ready).is_(True))
        .order_by(col(Run.rank), col(Run.id))
        .limit(depth)
        .correlate(Lane)
        .scalar_subquery()
    )
    rows = session.exec(
        select(Run)
        .select_from(Lane)
        .join(Team, (col(Team.name) == Lane.team) & col(Team.paused_at).is_(None))
        .join(Run, col(Run.id).in_(first))
        .order_by(col(Run.rank), col(Run.id))
    )
    queues: dict[str, list[Run]] = defaultdict(list)
    for run in rows:
        queues[run.team].append(run)
    return dict(queues)


def candidate(session: Session, run: Run) -> Candidate:
    """A run as admission sees it."""
    cap = run.max_cost_micro_usd
    if cap is not None and run.attempt:
        entries = session.exec(select(LedgerEntry).where(LedgerEntry.run_id == run.id))
        cap -= money_of(entries).charged or 0
    return Candidate(
        id=run.id,
        team=run.team,
        user=run.requested_by,
        flavor=run.flavor,
        namespace=run.namespace,
        rank=run.rank,
        timeout_seconds=run.requested_timeout_seconds,
        cap=cap,
        output_repo=run.output_repo,
        quoted_price=run.quoted_price_micro_usd,
    )


def _limits(session: Session, teams: Sequence[Team], most_active: int) -> SlotLimits:
    row = organisation.read(session)
    return SlotLimits(
        organisation=min(most_active, row.max_concurrent_runs if row.max_concurrent_runs is not None else most_active),
        namespaces=row.max_concurrent_runs_by_namespace,
        flavors=row.max_concurrent_runs_by_flavor,
        teams={team.name: team.max_concurrent_runs for team in teams if team.max_concurrent_runs is not None},
        per_user={
            team.name: team.max_concurrent_runs_per_user
            for team in teams
            if team.max_concurrent_runs_per_user is not None
        },
    )


def _purses(session: Session, now: datetime) -> dict[str, Purse]:
    purses = {}
    for budget, window in budgets.present(session, now):
        purses[window.id] = Purse(
            id=window.id,
            name=budget.name,
            team=budget.team,
            user=budget.user,
            balance=budgets.balance(session, budget, window),
            hard=budget.hard,
            ends_at=window.ends_at,
            next_limit=None if budget.period == Period.TOTAL else budget.limit_micro_usd,
            span=budgets.length(Period(budget.period)),
        )
    return purses


def _actives(session: Session, scheduling: dict[str, timedelta], now: datetime) -> dict[str, Active]:
    rows = session.exec(
        select(Run, Attempt)
        .join(Attempt, (col(Attempt.run_id) == Run.id) & (col(Attempt.attempt) == Run.attempt))
        .where(col(Run.state).in_([state.value for state in ACTIVE]))
        .order_by(col(Run.id))
    ).all()
    windows: dict[str, list[str]] = defaultdict(list)
    links = session.exec(
        select(ReservationWindow)
        .join(Attempt, col(Attempt.submission) == ReservationWindow.submission)
        .join(Run, (col(Run.id) == Attempt.run_id) & (col(Run.attempt) == Attempt.attempt))
        .where(col(Run.state).in_([state.value for state in ACTIVE]))
    )
    for link in links:
        windows[link.submission].append(link.window_id)
    return {
        run.id: Active(
            id=run.id,
            team=run.team,
            user=run.requested_by,
            flavor=run.flavor,
            namespace=run.namespace,
            until=_ends_by(attempt, scheduling, now),
            reserved=attempt.ceiling_micro_usd,
            purses=tuple(windows[attempt.submission]),
            least=0 if attempt.started_at is None else min(attempt.ceiling_micro_usd, cost_so_far(attempt, now)),
            output_repo=run.output_repo,
        )
        for run, attempt in rows
    }


def _ends_by(attempt: Attempt, scheduling: dict[str, timedelta], now: datetime) -> datetime:
    wait = scheduling.get(attempt.flavor, UNSEEN_SCHEDULING)
    starts = attempt.started_at or max(now, (attempt.scheduled_at or now) + wait)
    ends = starts + timedelta(seconds=attempt.timeout_seconds, minutes=GRACE_MINUTES)
    return max(ends, now + OVERDUE)
