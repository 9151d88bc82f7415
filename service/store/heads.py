"""Reads who stands at the head of the queues: the first runs of each lane, and the shortest. Never the queue itself."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, bindparam, case, func, true
from sqlalchemy import select as select_columns
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from service.domain.board import Candidate, LaneKey
from service.domain.place import Place
from service.domain.plan import DEPTH
from service.store.tables import Lane, LedgerEntry, Run, Team

# made once: an alias brings a copy of every column along
_CHILD = aliased(Run)

_HEAD = [
    col(Run.id),
    col(Run.team),
    col(Run.requested_by),
    col(Run.flavor),
    col(Run.namespace),
    col(Run.output_repo),
    col(Run.rank),
    col(Run.requested_timeout_seconds),
    col(Run.max_cost_micro_usd),
    col(Run.held_back_micro_usd),
    col(Run.quoted_price_micro_usd),
    col(Run.attempt),
    col(Run.reason),
    col(Run.message),
    col(Run.credentials),
    col(Run.origin),
]


_BY_RANK: tuple[Any, ...] = (col(Run.rank), col(Run.id))
_OF_LANE = {
    "team": col(Lane.team),
    "user": col(Lane.user),
    "flavor": col(Lane.flavor),
    "namespace": col(Lane.namespace),
    "origin": col(Lane.origin),
}
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


def _has_ready_run() -> ColumnElement[bool]:
    return select(Run.id).where(Run.lane == Lane.name, col(Run.is_ready).is_(True)).correlate(Lane).exists()


def queued_places(session: Session) -> list[Place]:
    """Where queued runs would start."""
    rows = session.exec(select(Lane.credentials, Lane.namespace).where(_has_ready_run()).distinct())
    return [Place(*row) for row in rows]


def heads(session: Session, depth: int) -> dict[str, list[Waiting]]:
    """The first ready runs of every lane of the teams that are not paused, by team and in the order of their rank."""
    return _by_team(session.execute(_heads_query(_BY_RANK, depth, _dialect(session))))


def longer_than(session: Session, most: int) -> set[LaneKey]:
    """The lanes that have more ready runs than so many: a look into an index for each, where reading one run more of
    each would take as long as all the rest of `heads`."""
    further = select(Run.id).where(Run.lane == Lane.name, col(Run.is_ready).is_(True)).order_by(*_BY_RANK)
    is_longer = further.limit(1).offset(most).correlate(Lane).exists()
    return {tuple(row) for row in session.execute(select_columns(*_OF_LANE.values()).where(is_longer))}


def shortest(session: Session) -> dict[LaneKey, Candidate]:
    """The shortest ready run of every lane of the teams that are not paused."""
    rows = session.execute(_heads_query(_BY_LENGTH, 1, _dialect(session)))
    return {one.lane: one for one in map(_candidate, rows)}


def of_lane(session: Session, lane: LaneKey) -> list[Waiting]:
    """The first `DEPTH` ready runs of one lane, and its shortest: all of it that a pass may look at, by rank."""
    found: dict[str, Waiting] = {}
    named = dict(zip(_OF_LANE, lane, strict=True))
    for order, depth in ((_BY_RANK, DEPTH), (_BY_LENGTH, 1)):
        rows = session.execute(_heads_query(order, depth, _dialect(session), of_one=True), named)
        found |= {row.id: _waiting(row) for row in rows}
    return sorted(found.values(), key=lambda one: (one.candidate.rank, one.candidate.id))


def _by_team(rows: Iterable[Row[Any]]) -> dict[str, list[Waiting]]:
    queues: dict[str, list[Waiting]] = defaultdict(list)
    for row in rows:
        queues[row.team].append(_waiting(row))
    return dict(queues)


def _waiting(row: Row[Any]) -> Waiting:
    return Waiting(_candidate(row), row.attempt, row.reason, row.message, row.credentials)


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
        origin=row.origin,
    )


def _dialect(session: Session) -> str:
    return session.get_bind().dialect.name


@cache  # putting it together takes longer than reading the first few runs of one lane
def _heads_query(order: tuple[Any, ...], depth: int, dialect: str, *, of_one: bool = False) -> Select[Any]:
    """The first of each lane in this order, by rank: one look into an index for each lane. PostgreSQL would compare
    every run with every lane's first ones where they are named by IN, and SQLite has no LATERAL: each gets the form
    that it can answer from the index. `of_one`: of the lane that the parameters name."""
    # A run whose length is not known yet has none to compare: its price was not known when it was submitted.
    is_first = (col(Run.lane) == Lane.name, col(Run.is_ready).is_(True), order[0].is_not(None))
    which: list[ColumnElement[bool]] = [(col(Team.name) == Lane.team) & col(Team.paused_at).is_(None)]
    if of_one:
        which += [column == bindparam(name) for name, column in _OF_LANE.items()]
    if dialect == "postgresql":
        looked = select_columns(*_columns()).where(*is_first).order_by(*order).limit(depth)
        first = looked.correlate(Lane).lateral("first")
        lanes = select_columns(*first.c).select_from(Lane).join(Team, and_(*which))
        return lanes.join(first, true()).order_by(first.c.rank, first.c.id)
    ids = select_columns(col(Run.id)).where(*is_first).order_by(*order).limit(depth).correlate(Lane).scalar_subquery()
    lanes = select_columns(*_columns()).select_from(Lane).join(Team, and_(*which))
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
