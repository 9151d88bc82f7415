"""The order in which queued runs would start, if everything fitted: for people who look, never for a pass.

Teams go by their share, which grows with each run's ceiling, and within a team runs go by rank; a team that is paused
has no turn. So a run's turn is (share of its team once all before it there have started, team), and turns alone are
the order: nobody has to read those in front to know how many they are.
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect_left, bisect_right
from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate, groupby
from operator import itemgetter

from sqlalchemy import func, true
from sqlalchemy import select as select_columns
from sqlmodel import Session, col, select

from service.domain.fairness import decayed, share
from service.domain.run import RunState
from service.store.tables import Run, Team

# How many runs of a team are read at once, and how many teams are named in a statement.
AT_FIRST, THEN, AT_ONCE = 2, 32, 500
# A position is counted run by run as long as no more of other teams' come into question: far back in a long queue it is
# reckoned from how many each team has, and what all of those cost.
MOST_COUNTED = 10_000
_IS_READY = col(Run.is_ready).is_(True)
_CEILING = func.coalesce(Run.ceiling_micro_usd, 0)
_BY_RANK = (col(Run.rank), col(Run.id))


@dataclass(frozen=True)
class _Owner:
    """A team as far as its turns go."""

    name: str
    usage: float
    weight: float

    def turn(self, ahead: int) -> float:
        """Its share once runs of so many micro-dollars in all have started."""
        return share(self.usage + ahead, self.weight)


def in_order(session: Session, now: datetime) -> Iterator[tuple[str, str]]:
    """Every ready run with its team, read as far as it is asked for."""
    owners = {owner.name: owner for owner in _owners(session, now)}
    waiting = {name: deque(some) for name, some in _next(session, AT_FIRST, 0).items() if name in owners}
    ended = {name for name, some in waiting.items() if len(some) < AT_FIRST}
    read, ahead = dict.fromkeys(waiting, AT_FIRST), dict.fromkeys(waiting, 0)
    turns = [(owners[name].turn(0), name) for name in waiting]
    heapq.heapify(turns)
    while turns:
        _, name = heapq.heappop(turns)
        run_id, ceiling = waiting[name].popleft()
        yield run_id, name
        ahead[name] += ceiling
        if not waiting[name] and name not in ended:  # it is read on, and with it others that soon are where it is
            so_far = read[name]
            near = [one for one, left in waiting.items() if len(left) < 2 and read[one] == so_far and one not in ended]
            names = {name, *near[:AT_ONCE]}
            more = _next(session, THEN, so_far, names)
            for one in names:
                waiting[one] += more.get(one, ())
                read[one] = so_far + THEN
            ended |= {one for one in names if len(more.get(one, ())) < THEN}
        if waiting[name]:
            heapq.heappush(turns, (owners[name].turn(ahead[name]), name))


def of_team(session: Session, team: str, skip: int, limit: int) -> list[str]:
    """A team's ready runs by rank; none where it is paused."""
    query = select(Run.id).join(Team, col(Team.name) == Run.team).where(Run.team == team, _IS_READY)
    return list(session.exec(query.where(col(Team.paused_at).is_(None)).order_by(*_BY_RANK).offset(skip).limit(limit)))


def ready(session: Session, team: str) -> int:
    """How many `of_team` has in all."""
    mine = (
        select(func.count()).select_from(Run).join(Team, col(Team.name) == Run.team).where(Run.team == team, _IS_READY)
    )
    return session.exec(mine.where(col(Team.paused_at).is_(None))).one()


def positions(session: Session, team: str, run_ids: Collection[str], now: datetime) -> dict[str, int]:
    """The positions of some ready runs of one team among all, from 1: of those that have one. Far back in a long queue
    they are about right."""
    owners = {owner.name: owner for owner in _owners(session, now)}
    mine = owners.pop(team, None)
    if mine is None or not run_ids:
        return {}
    turns: list[tuple[str, float]] = []
    found: dict[str, int] = {}
    ahead = 0
    for place, (run_id, ceiling) in enumerate(_ready(session, team), 1):
        if run_id in run_ids:
            turns.append((run_id, mine.turn(ahead)))
            found[run_id] = place
            if len(found) == len(run_ids):
                break
        ahead += ceiling
    if not turns:
        return {}
    # whoever is the first of its team has hardly more than the first of other teams before it
    few = min(AT_FIRST, max(found.values()))
    for other, starts in _turns_of(session, owners, max(turn for _, turn in turns), few):
        for run_id, turn in turns:
            found[run_id] += starts.before(turn, is_tie_first=other < team)
    return found


def held(session: Session, team: str | None, skip: int, limit: int) -> list[tuple[str, str]]:
    """Queued runs that something holds outside the board, their team's pause included, oldest first, with their
    teams; of one team, or of all."""
    query = (
        select(Run.id, Run.team)
        .join(Team, col(Team.name) == Run.team)
        .where(Run.state == RunState.QUEUED.value, col(Run.is_ready).is_(False) | col(Team.paused_at).is_not(None))
        .order_by(col(Run.id))
    )
    if team is not None:
        query = query.where(Run.team == team)
    return [(run_id, name) for run_id, name in session.exec(query.offset(skip).limit(limit))]


def _owners(session: Session, now: datetime) -> list[_Owner]:
    rows = session.exec(
        select(Team.name, Team.usage_micro_usd, Team.usage_at, Team.weight).where(col(Team.paused_at).is_(None))
    )
    return [_Owner(name, decayed(usage, at, now), weight) for name, usage, at, weight in rows]


class _Known:
    """The turns of a team's runs, each of them."""

    def __init__(self, owner: _Owner, ceilings: Iterable[int]) -> None:
        self.turns = [owner.turn(ahead) for ahead in accumulate(ceilings, initial=0)][:-1]

    def before(self, turn: float, is_tie_first: bool) -> int:
        """How many come before another team's turn."""
        return (bisect_right if is_tie_first else bisect_left)(self.turns, turn)


@dataclass(frozen=True)
class _Summed:
    """The turns of a team's runs, as if all of them had the same ceiling."""

    owner: _Owner
    count: int
    total: int

    def before(self, turn: float, is_tie_first: bool) -> int:
        """How many come before another team's turn."""
        ahead = turn * self.owner.weight - self.owner.usage
        if ahead <= 0:
            return int(is_tie_first and ahead == 0)
        return self.count if not self.total else min(self.count, math.ceil(ahead * self.count / self.total))


def _turns_of(
    session: Session, owners: Mapping[str, _Owner], last: float, few: int
) -> Iterator[tuple[str, _Known | _Summed]]:
    """The turns of other teams' ready runs, up to the last that is asked about; first so few of each are looked at."""
    far = set()
    for team, some in _next(session, few, 0).items():
        if team not in owners:
            continue
        ceilings = [ceiling for _, ceiling in some]
        if len(some) < few or owners[team].turn(sum(ceilings)) > last:
            yield team, _Known(owners[team], ceilings)
        else:
            far.add(team)
    if not far:
        return
    sums = select_columns(col(Run.team), func.count(), func.sum(_CEILING)).where(_IS_READY).group_by(col(Run.team))
    rows = select_columns(col(Run.team), _CEILING).where(_IS_READY).order_by(col(Run.team), *_BY_RANK)
    if len(far) <= AT_ONCE:
        sums, rows = sums.where(col(Run.team).in_(far)), rows.where(col(Run.team).in_(far))
    summed = {team: (count, int(total)) for team, count, total in session.execute(sums) if team in far}
    if sum(count for count, _ in summed.values()) > MOST_COUNTED:
        yield from ((team, _Summed(owners[team], *sums)) for team, sums in summed.items())
        return
    for team, ready in groupby(session.execute(rows), key=itemgetter(0)):
        if team in far:
            yield team, _Known(owners[team], (ceiling for _, ceiling in ready))


def _ready(session: Session, team: str) -> Iterator[tuple[str, int]]:
    rows = select_columns(col(Run.id), _CEILING).where(col(Run.team) == team, _IS_READY).order_by(*_BY_RANK)
    return ((run_id, ceiling) for run_id, ceiling in session.execute(rows))


def _next(
    session: Session, number: int, skip: int, names: Collection[str] | None = None
) -> dict[str, list[tuple[str, int]]]:
    """The next few ready runs of each team, with their ceilings, by rank: looked up in the index, in the form in which
    each database does so (`heads`)."""
    mine = select_columns(col(Run.id), _CEILING.label("ceiling"), col(Run.rank)).where(
        col(Run.team) == Team.name, _IS_READY
    )
    mine = mine.order_by(*_BY_RANK).limit(number).offset(skip).correlate(Team)
    if session.get_bind().dialect.name == "postgresql":
        few = mine.lateral("few")
        query = select_columns(col(Team.name), few.c.id, few.c.ceiling).join(few, true())
        query = query.order_by(few.c.rank, few.c.id)
    else:
        ids = mine.with_only_columns(col(Run.id)).scalar_subquery()
        query = select_columns(col(Team.name), col(Run.id), _CEILING).join(Run, col(Run.id).in_(ids))
        query = query.order_by(*_BY_RANK)
    found: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for team, run_id, ceiling in session.execute(query if names is None else query.where(col(Team.name).in_(names))):
        found[team].append((run_id, ceiling))
    return found
