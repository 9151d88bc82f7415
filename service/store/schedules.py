"""Schedules: which are due, and what came of their times."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from sqlmodel import Session, col, select

from service.domain.schedule import Timing
from service.store import origins
from service.store.tables import Origin, Schedule

MOST_DUE = 200
Pair = tuple[Origin, Schedule]


def due(session: Session, now: datetime) -> list[str]:
    """The schedules whose time has come, the latest first."""
    query = select(Schedule.id).where(col(Schedule.next_at) <= now).order_by(col(Schedule.next_at)).limit(MOST_DUE)
    return list(session.exec(query))


def get(session: Session, schedule_id: str) -> Pair | None:
    """One that is there."""
    return session.exec(
        select(Origin, Schedule)
        .join(Schedule, col(Schedule.id) == Origin.id)
        .where(Origin.id == schedule_id, col(Origin.ended_at).is_(None))
    ).first()


def lock(session: Session, schedule_id: str) -> Pair | None:
    """The same, held until the transaction ends."""
    origin = origins.lock(session, schedule_id)
    schedule = None if origin is None else session.get(Schedule, schedule_id, populate_existing=True)
    return None if origin is None or schedule is None else (origin, schedule)


def page(session: Session, team: str | None, after: str | None, limit: int) -> list[Pair]:
    """A team's, newest first; with None all teams'."""
    query = select(Origin, Schedule).join(Schedule, col(Schedule.id) == Origin.id).where(col(Origin.ended_at).is_(None))
    if team is not None:
        query = query.where(Origin.team == team)
    if after is not None:
        query = query.where(col(Origin.id) < after)
    return list(session.exec(query.order_by(col(Origin.id).desc()).limit(limit)))


def timing(schedule: Schedule) -> Timing:
    """When it is due."""
    return Timing(schedule.cron, schedule.every_seconds, ZoneInfo(schedule.time_zone), schedule.anchor_at)


def end_all(session: Session, team: str, now: datetime) -> None:
    """None of a team's makes a run any more."""
    mine = select(Origin, Schedule).join(Schedule, col(Schedule.id) == Origin.id)
    for origin, schedule in session.exec(mine.where(Origin.team == team, col(Origin.ended_at).is_(None))):
        end(session, origin, schedule, now)


def end(session: Session, origin: Origin, schedule: Schedule, now: datetime) -> None:
    """It is taken away; its runs go on."""
    origin.ended_at, schedule.next_at = now, None
    session.add(origin)
    session.add(schedule)
