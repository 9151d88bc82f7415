"""Reads the board of admission: teams and the heads of their queues, active runs, money. Never the queue itself."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, case, func, true
from sqlalchemy import select as select_columns
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from service.domain.board import UNSEEN_SCHEDULING, Active, Board, Candidate
from service.domain.fairness import decayed
from service.domain.money import GRACE_MINUTES
from service.domain.place import Place
from service.domain.plan import DEPTH
from service.domain.run import ACTIVE
from service.domain.slots import SlotLimits
from service.store import flavors, organisation, standings
from service.store.describe import cost_so_far
from service.store.tables import Attempt, Lane, LedgerEntry, ReservationWindow, Run, Team

OVERDUE = timedelta(minutes=1)
# made once: an alias brings a copy of every column along
_CHILD = aliased(Run)

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
]
_HEAD = [
    *_ACTIVE,
    col(Run.requested_timeout_seconds),
    col(Run.max_cost_micro_usd),
    col(Run.held_back_micro_usd),
    col(Run.quoted_price_micro_usd),
    col(Run.attempt),
    col(Run.reason),
    col(Run.message),
    col(Run.credentials),
]


_BY_RANK: tuple[Any, ...] = (col(Run.rank), col(Run.id))
_BY_LENGTH: tuple[Any, ...] = (col(Run.timeout_seconds), *_BY_RANK)


@dataclass(frozen=True)
class Waiting:
    """A run near the head of its lane, with the attempt that it is on and what was told of it last."""

    candidate: Candidate
    attempt: int
    reason: str | None
    message: str | None
    credentials: str | None = None

    @property
    def place(self) -> Place:
        """Where its job would be."""
        return Place(self.credentials, self.candidate.namespace)


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


def lanes_in_use(session: Session) -> int:
    """How many lanes have a ready run."""
    return session.exec(select(func.count()).select_from(Lane).where(_has_ready_run())).one()


def _has_ready_run() -> ColumnElement[bool]:
    return select(Run.id).where(Run.lane == Lane.name, col(Run.is_ready).is_(True)).correlate(Lane).exists()


def queued_places(session: Session) -> list[Place]:
    """Where queued runs would start."""
    rows = session.exec(select(Lane.credentials, Lane.namespace).where(_has_ready_run()).distinct())
    return [Place(*row) for row in rows]


def heads(session: Session, depth: int = DEPTH) -> dict[str, list[Waiting]]:
    """The first ready runs of every lane of the teams that are not paused, by team and in the order of their rank."""
    return _by_team(session.execute(_heads_query(_BY_RANK, depth, session.get_bind().dialect.name)))


def heads_and_shortest(session: Session, depth: int = DEPTH) -> dict[str, list[Waiting]]:
    """`heads`, and the shortest run of each lane: what `domain.plan.looked_at` says that a pass looks at."""
    queues = heads(session, depth)
    if not any(len(queue) >= depth for queue in queues.values()):
        return queues
    for team, found in _by_team(session.execute(_heads_query(_BY_LENGTH, 1, session.get_bind().dialect.name))).items():
        queue = queues.setdefault(team, [])
        known = {one.candidate.id for one in queue}
        queue += [one for one in found if one.candidate.id not in known]
        queue.sort(key=lambda one: (one.candidate.rank, one.candidate.id))
    return queues


def _by_team(rows: Iterable[Row[Any]]) -> dict[str, list[Waiting]]:
    queues: dict[str, list[Waiting]] = defaultdict(list)
    for row in rows:
        queues[row.team].append(Waiting(_candidate(row), row.attempt, row.reason, row.message, row.credentials))
    return dict(queues)


def candidate(session: Session, run: Run) -> Candidate:
    """One run as admission sees it."""
    return _candidate(session.execute(select_columns(*_columns()).where(col(Run.id) == run.id)).one())


def _candidate(row: Row[Any]) -> Candidate:
    held_back = row.held_back_micro_usd or 0
    return Candidate(
        id=row.id,
        team=row.team,
        user=row.requested_by,
        flavor=row.flavor,
        namespace=row.namespace,
        rank=row.rank,
        timeout_seconds=row.requested_timeout_seconds,
        cap=None if row.max_cost_micro_usd is None else row.max_cost_micro_usd - int(row.charged or 0) - held_back,
        output_repo=row.output_repo,
        quoted_price=row.quoted_price_micro_usd,
    )


def _heads_query(order: Sequence[ColumnElement[Any]], depth: int, dialect: str) -> Select[Any]:
    """The first of each lane in this order, by rank: one look into an index for each lane. PostgreSQL would compare
    every run with every lane's first ones where they are named by IN, and SQLite has no LATERAL: each gets the form
    that it can answer from the index."""
    # A run whose length is not known yet has none to compare: its price was not known when it was submitted.
    is_first = (col(Run.lane) == Lane.name, col(Run.is_ready).is_(True), order[0].is_not(None))
    has_open_team = (col(Team.name) == Lane.team) & col(Team.paused_at).is_(None)
    if dialect == "postgresql":
        looked = select_columns(*_columns()).where(*is_first).order_by(*order).limit(depth)
        first = looked.correlate(Lane).lateral("first")
        lanes = select_columns(*first.c).select_from(Lane).join(Team, has_open_team)
        return lanes.join(first, true()).order_by(first.c.rank, first.c.id)
    ids = select_columns(col(Run.id)).where(*is_first).order_by(*order).limit(depth).correlate(Lane).scalar_subquery()
    lanes = select_columns(*_columns()).select_from(Lane).join(Team, has_open_team)
    return lanes.join(Run, col(Run.id).in_(ids)).order_by(*_BY_RANK)


def _columns() -> list[Any]:
    charged = (
        select(func.sum(LedgerEntry.amount_micro_usd))
        .where(
            (col(LedgerEntry.run_id) == Run.id) | col(LedgerEntry.run_id).in_(_children()), LedgerEntry.kind == "charge"
        )
        .correlate(Run)
        .scalar_subquery()
    )
    # Only a capped run that was tried before, or that had a pilot, has anything to take off its cap.
    has_spent = (col(Run.attempt) > 0) | col(Run.pilot).is_not(None)
    is_tried = col(Run.max_cost_micro_usd).is_not(None) & has_spent
    return [*_HEAD, case((is_tried, charged)).label("charged")]


def _children() -> Select[Any]:
    return select_columns(col(_CHILD.id)).where(col(_CHILD.parent) == Run.id).correlate(Run)


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
    )


def _actives(session: Session, scheduling: dict[str, timedelta], now: datetime) -> dict[str, Active]:
    is_active = col(Run.state).in_([state.value for state in ACTIVE])
    is_current = (col(Attempt.run_id) == Run.id) & (col(Attempt.attempt) == Run.attempt)
    # The run's request and result are large and say nothing here.
    rows = session.execute(
        select_columns(*_ACTIVE, Attempt).join(Attempt, is_current).where(is_active).order_by(col(Run.id))
    ).all()
    windows: dict[str, list[str]] = defaultdict(list)
    links = session.execute(
        select_columns(col(ReservationWindow.submission), col(ReservationWindow.window_id))
        .join(Attempt, col(Attempt.submission) == ReservationWindow.submission)
        .join(Run, is_current)
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
