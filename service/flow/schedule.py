"""schedule: a schedule whose time has come makes its run, in the transaction that moves it on to its next time.

That is what makes it once: another leader finds the next time there already. Should one sleep in between, the run's
idempotency key, which names the schedule and the time, belongs to the run that was made.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial

import structlog
from sqlmodel import Session

from service.domain.moment import iso
from service.domain.overlap import Overlap
from service.domain.placeholders import of_time
from service.domain.schedule import Misfire, due
from service.flow.gate import Gate
from service.flow.origin import Came, Occasion, start
from service.store import origins, schedules
from service.store.tables import Schedule

log = structlog.get_logger()


def run_once(gate: Gate) -> int:
    """Start what is due; how many schedules came to their time."""
    with gate.db.read() as session:
        ids = schedules.due(session, gate.clock())
    moved = 0
    for schedule_id in ids:
        came = gate.write(partial(turn, schedule_id=schedule_id, gate=gate, now=gate.clock()))
        if came is not None:
            moved += 1
            log.info("schedule_due", schedule_id=schedule_id, outcome=came.outcome, run_id=came.run_id)
    return moved


def turn(session: Session, schedule_id: str, gate: Gate, now: datetime) -> Came | None:
    """What a schedule's time comes to; None where it was seen to meanwhile."""
    found = origins.lock(session, Schedule, schedule_id)
    if found is None or found[1].next_at is None or found[1].next_at > now:
        return None
    origin, schedule = found
    assert schedule.next_at is not None
    timing = schedules.timing(schedule)
    what = due(timing, schedule.next_at, Misfire(schedule.misfire), now)
    if what.planned is None:
        came = Came("skipped", f"nothing could be started at {_times(what.missed)} that passed")
    else:
        came = start(session, origin, Overlap(schedule.overlap), occasion(schedule, what.planned), gate, now)
    schedule.last_at = what.planned or timing.last_before(schedule.next_at, now)
    schedule.last_outcome, schedule.last_message = came.outcome, came.message
    schedule.last_run_id = came.run_id or schedule.last_run_id
    schedule.next_at = timing.after(now)
    session.add(schedule)
    if came.run_id is None:
        told = {"planned_at": iso(schedule.last_at), "message": came.message, "next_at": iso(schedule.next_at)}
        origins.tell(session, origin, f"schedule.{came.outcome}", now, **told)
    return came


def occasion(schedule: Schedule, planned: datetime) -> Occasion:
    """A time of a schedule."""
    return Occasion(iso(planned), of_time(planned.astimezone(schedules.timing(schedule).zone)))


def _times(count: int) -> str:
    return "the time" if count == 1 else f"{count} times"
