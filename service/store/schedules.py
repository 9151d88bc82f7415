"""Schedules: which are due, and what came of their times."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from sqlmodel import Session, col, select

from service.domain.schedule import Timing
from service.store import origins
from service.store.tables import Origin, Schedule

MOST_DUE = 200


def due(session: Session, now: datetime) -> list[str]:
    """The schedules whose time has come, the longest due first."""
    query = select(Schedule.id).where(col(Schedule.next_at) <= now).order_by(col(Schedule.next_at)).limit(MOST_DUE)
    return list(session.exec(query))


def timing(schedule: Schedule) -> Timing:
    """When it is due."""
    return Timing(schedule.cron, schedule.every_seconds, ZoneInfo(schedule.time_zone), schedule.anchor_at)


def end_all(session: Session, team: str, now: datetime) -> None:
    """None of a team's makes a run any more."""
    for origin, schedule in origins.every(session, Schedule, team):
        end(session, origin, schedule, now)


def end(session: Session, origin: Origin, schedule: Schedule, now: datetime) -> None:
    """It is taken away; its runs go on."""
    origin.ended_at, schedule.next_at = now, None
    session.add(origin)
    session.add(schedule)
