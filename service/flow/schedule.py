"""schedule: a schedule whose time has come makes its run, in the transaction that moves it on to its next time.

That is what makes it once: another leader finds the next time there already. Should one sleep in between, the run's
idempotency key, which names the schedule and the time, belongs to the run that was made.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import structlog
from pydantic import BaseModel, ValidationError
from sqlmodel import Session, col

from service.domain.errors import BrokenRule, NotAllowed, ServiceError
from service.domain.moment import iso
from service.domain.placeholders import filled, of_time
from service.domain.request import RunRequest
from service.domain.schedule import Misfire, Overlap, due
from service.flow.enqueue import Submitter, enqueue
from service.flow.gate import Gate
from service.store import cancels, origins, schedules, topics, users
from service.store.tables import Origin, Run, Schedule
from service.store.trial import part

log = structlog.get_logger()
# Behind an active run, so many wait at the most.
MOST_QUEUED = 10


@dataclass(frozen=True)
class Came:
    """What a time came to: `started` with the run's id, `skipped` or `refused` with the reason."""

    outcome: str
    message: str
    run_id: str | None = None


class Filled(BaseModel):
    """Where a filled template stands in what is said of its faults."""

    run: RunRequest


def run_once(gate: Gate) -> int:
    """Start what is due; how many schedules came to their time."""
    with gate.db.read() as session:
        ids = schedules.due(session, gate.clock())
    moved = 0
    for schedule_id in ids:
        came = gate.write(partial(_turn, schedule_id=schedule_id, gate=gate, now=gate.clock()))
        if came is not None:
            moved += 1
            log.info("schedule_due", schedule_id=schedule_id, outcome=came.outcome, run_id=came.run_id)
    return moved


def _turn(session: Session, schedule_id: str, gate: Gate, now: datetime) -> Came | None:
    """None where it was seen to meanwhile."""
    found = schedules.lock(session, schedule_id)
    if found is None or found[1].next_at is None or found[1].next_at > now:
        return None
    origin, schedule = found
    assert schedule.next_at is not None
    timing = schedules.timing(schedule)
    what = due(timing, schedule.next_at, Misfire(schedule.misfire), now)
    if what.planned is None:
        came = Came("skipped", f"nothing could be started at {_times(what.missed)} that passed")
    else:
        came = _start(session, origin, schedule, what.planned, gate, now)
    schedule.last_at = what.planned or timing.last_before(schedule.next_at, now)
    schedule.last_outcome, schedule.last_message = came.outcome, came.message
    schedule.last_run_id = came.run_id or schedule.last_run_id
    schedule.next_at = timing.after(now)
    session.add(schedule)
    if came.run_id is None:
        told = {"planned_at": iso(schedule.last_at), "message": came.message, "next_at": iso(schedule.next_at)}
        origins.tell(session, origin, f"schedule.{came.outcome}", now, **told)
    return came


def _times(count: int) -> str:
    return "the time" if count == 1 else f"{count} times"


def _start(session: Session, origin: Origin, schedule: Schedule, planned: datetime, gate: Gate, now: datetime) -> Came:
    running = origins.open_runs(session, origin.id)
    overlap = Overlap(schedule.overlap)
    if running and overlap is Overlap.SKIP:
        return Came("skipped", f"{running[0].id} of the schedule has not ended")
    if overlap is Overlap.QUEUE and len(running) > MOST_QUEUED:
        return Came("skipped", f"{len(running)} runs of the schedule have not ended")
    try:
        with part(session):  # a refused run leaves nothing behind, and the schedule goes on
            run = make(session, origin, schedule, planned, gate, now)
            if running and overlap is Overlap.CANCEL_PREVIOUS:
                ids = [one.id for one in running]
                others = col(Run.id).in_(ids) | col(Run.parent).in_(ids)
                cancels.request(session, others, origin.name, now, message=f"{origin.name} goes on with {run['id']}")
                topics.tell(session, *topics.has_work("cancel"))
    except (ServiceError, BrokenRule, ValidationError) as error:
        return Came("refused", _said(error))
    topics.tell(session, *topics.has_work("prepare", "preflight"))
    return Came("started", "", run["id"])


def _said(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"[:500]
    return str(error)[:500]


def make(
    session: Session, origin: Origin, schedule: Schedule, planned: datetime, gate: Gate, now: datetime
) -> dict[str, Any]:
    """The run that a schedule makes for a time: the run object. Raises what `enqueue` raises, and ValidationError where
    the filled template is no request."""
    owner = users.get(session, origin.team, origin.owner)
    if owner is not None and owner.shut_out_at is not None:
        raise NotAllowed(f"the user '{origin.owner}' is shut out", remedy="Make the schedule anew as another user.")
    body = filled(origin.template, of_time(planned.astimezone(schedules.timing(schedule).zone)))
    request = Filled.model_validate({"run": body}).run
    key = f"{origin.id}/{iso(planned)}"
    who = Submitter(origin.team, origin.owner, key, gate.vault.body_hmac(body))
    run, _ = enqueue(session, request, who, gate.namespace, gate.vault, now, gate.limits, origin=origin.id)
    return run
