"""Reads the board of admission: teams and the heads of their queues, active runs, money. Never the queue itself."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row
from sqlalchemy import select as select_columns
from sqlmodel import Session, col

from service.domain.board import UNSEEN_SCHEDULING, Active, Board
from service.domain.fairness import decayed
from service.domain.money import GRACE_MINUTES
from service.domain.run import ACTIVE
from service.domain.slots import SlotLimits
from service.store import flavors, organisation, origins, standings
from service.store.current import IS_CURRENT
from service.store.describe import cost_so_far
from service.store.tables import Attempt, ReservationWindow, Run, Team

OVERDUE = timedelta(minutes=1)

_TEAM = [
    col(Team.name),
    col(Team.max_concurrent_runs),
    col(Team.max_concurrent_runs_per_user),
    col(Team.weight),
    col(Team.usage_micro_usd),
    col(Team.usage_at),
]
_ACTIVE = [
    col(Run.id),
    col(Run.team),
    col(Run.requested_by),
    col(Run.flavor),
    col(Run.namespace),
    col(Run.output_repo),
    col(Run.rank),
    col(Run.origin),
]


def read(session: Session, most_active: int, now: datetime) -> Board:
    """The board as this transaction sees it; `most_active` is the installation's own limit of active runs."""
    prices, scheduling = _flavors(session, now)
    # Columns, not objects: there may be thousands of teams, and making an object costs more than reading its row.
    teams = session.execute(select_columns(*_TEAM)).all()
    return Board(
        now=now,
        limits=_limits(session, teams, most_active),
        prices=prices,
        scheduling=scheduling,
        purses=standings.purses(session, now),
        actives=_actives(session, scheduling, now),
        usage={team.name: decayed(team.usage_micro_usd, team.usage_at, now) for team in teams},
        weights={team.name: team.weight for team in teams},
    )


def _flavors(session: Session, now: datetime) -> tuple[dict[str, int], dict[str, timedelta]]:
    """Prices that can be trusted, and how long each flavor takes to start, from one reading of the list."""
    listed = flavors.every(session)
    scheduling = {
        flavor.name: timedelta(seconds=flavor.scheduling_p90_seconds)
        for flavor in listed
        if flavor.scheduling_p90_seconds is not None
    }
    return flavors.fresh(listed, now), scheduling


def _limits(session: Session, teams: Sequence[Row[Any]], most_active: int) -> SlotLimits:
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
        origins=origins.limits(session),
    )


def _actives(session: Session, scheduling: dict[str, timedelta], now: datetime) -> dict[str, Active]:
    is_active = col(Run.state).in_([state.value for state in ACTIVE])
    # The run's request and result are large and say nothing here.
    rows = session.execute(
        select_columns(*_ACTIVE, Attempt).join(Attempt, IS_CURRENT).where(is_active).order_by(col(Run.id))
    ).all()
    windows: dict[str, list[str]] = defaultdict(list)
    links = session.execute(
        select_columns(col(ReservationWindow.submission), col(ReservationWindow.window_id))
        .join(Attempt, col(Attempt.submission) == ReservationWindow.submission)
        .join(Run, IS_CURRENT)
        .where(is_active)
    )
    for submission, window_id in links:
        windows[submission].append(window_id)
    return {
        row.id: Active(
            id=row.id,
            team=row.team,
            user=row.requested_by,
            flavor=row.flavor,
            namespace=row.namespace,
            until=_ends_by(row.Attempt, scheduling, now),
            reserved=row.Attempt.ceiling_micro_usd,
            purses=tuple(windows[row.Attempt.submission]),
            rank=row.rank,
            least=_least(row.Attempt, now),
            output_repo=row.output_repo,
            origin=row.origin,
            counted=decayed(row.Attempt.ceiling_micro_usd, row.Attempt.admitted_at, now),
        )
        for row in rows
    }


def _ends_by(attempt: Attempt, scheduling: dict[str, timedelta], now: datetime) -> datetime:
    wait = scheduling.get(attempt.flavor, UNSEEN_SCHEDULING)
    starts = attempt.started_at or max(now, (attempt.scheduled_at or now) + wait)
    ends = starts + timedelta(seconds=attempt.timeout_seconds, minutes=GRACE_MINUTES)
    return max(ends, now + OVERDUE)


def _least(attempt: Attempt, now: datetime) -> int:
    return 0 if attempt.started_at is None else min(attempt.ceiling_micro_usd, cost_so_far(attempt, now))
