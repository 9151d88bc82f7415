"""The whole queue in the order in which it would start, if everything fitted: for people who look, never for a pass."""

from __future__ import annotations

import heapq
from collections import defaultdict
from datetime import datetime

from sqlalchemy import func
from sqlmodel import Session, col, select

from service.domain.fairness import decayed, share
from service.domain.run import RunState
from service.store.tables import Run, Team


def in_order(session: Session, now: datetime) -> list[tuple[str, str]]:
    """Every ready run with its team: teams by their share, which grows with each run's ceiling, and within a team by
    rank. A team that is paused has no turn."""
    queues: dict[str, list[tuple[str, int]]] = defaultdict(list)
    rows = session.exec(
        select(Run.id, Run.team, func.coalesce(Run.ceiling_micro_usd, 0))
        .join(Team, col(Team.name) == Run.team)
        .where(col(Run.is_ready).is_(True), col(Team.paused_at).is_(None))
        .order_by(col(Run.team), col(Run.rank), col(Run.id))
    )
    for run_id, team, ceiling in rows:
        queues[team].append((run_id, ceiling))
    teams = {team.name: team for team in session.exec(select(Team).where(col(Team.name).in_(list(queues))))}
    usage = {name: decayed(team.usage_micro_usd, team.usage_at, now) for name, team in teams.items()}
    turns = [(share(usage[name], teams[name].weight), name, 0) for name in queues]
    heapq.heapify(turns)
    ordered = []
    while turns:
        _, name, index = heapq.heappop(turns)
        run_id, ceiling = queues[name][index]
        ordered.append((run_id, name))
        usage[name] += ceiling
        if index + 1 < len(queues[name]):
            heapq.heappush(turns, (share(usage[name], teams[name].weight), name, index + 1))
    return ordered


def held(session: Session) -> list[tuple[str, str]]:
    """Queued runs that something holds outside the board, their team's pause included, oldest first, with their
    teams."""
    return [
        (run_id, team)
        for run_id, team in session.exec(
            select(Run.id, Run.team)
            .join(Team, col(Team.name) == Run.team)
            .where(Run.state == RunState.QUEUED.value, col(Run.is_ready).is_(False) | col(Team.paused_at).is_not(None))
            .order_by(col(Run.id))
        )
    ]
