"""Schedules: runs that come by themselves."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from itertools import islice
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from fastapi.responses import JSONResponse, Response
from sqlmodel import Session

from service.api import audited, template
from service.api.auth import Caller, Member, Viewer
from service.api.contract import Routes
from service.api.limits import checked_zone
from service.api.pages import After, Limit, Page, decode, page_json, page_of
from service.api.problems import responses
from service.api.schedule_schemas import ScheduleCreate, ScheduleObject, SchedulePatch
from service.api.schemas import RunObject
from service.api.state import App, State
from service.domain.moment import iso
from service.flow import schedule as step
from service.store import origins, schedules
from service.store.tables import Origin, Schedule

router = Routes("schedules")
KIND = "schedule"
SHOWN_TIMES = 5


@router.post(
    "/schedules",
    status_code=201,
    response_model=ScheduleObject,
    summary="Make a schedule",
    responses=responses(403, 404, 409, 422),
)
def create_schedule(body: ScheduleCreate, caller: Member, app: App) -> Response:
    """At each of its times a run is made from the template, as if its owner had sent it then: it waits in the queue,
    and the team's budgets and the schedule's own bind it. The template is checked now, as a run of its next time."""
    work = partial(_create, body=body, caller=caller, app=app, now=app.now())
    made = audited.write(app, caller, work)
    return JSONResponse(made, 201, headers={"Location": f"/schedules/{made['id']}"})


@router.get("/schedules", response_model=Page[ScheduleObject], summary="List schedules", responses=responses(422))
def list_schedules(caller: Viewer, app: App, limit: Limit = 50, after: After = None) -> Response:
    """The team's, newest first; all teams' for admins."""
    with app.gate.db.read() as session:
        rows = origins.page(session, Schedule, caller.team, decode(after), limit + 1)
        shown, has_more, following = page_of(rows, limit, lambda pair: pair[0].id)
        data = [_json(session, origin, schedule) for origin, schedule in shown]
    return JSONResponse(page_json(data, has_more, following))


@router.get(
    "/schedules/{schedule_id}", response_model=ScheduleObject, summary="Read a schedule", responses=responses(404)
)
def read_schedule(schedule_id: str, caller: Viewer, app: App) -> Response:
    """With its next times, and what came of the last one."""
    with app.gate.db.read() as session:
        pair = origins.get(session, Schedule, schedule_id)
        origin, schedule = template.seen(caller, pair, KIND, schedule_id)
        return JSONResponse(_json(session, origin, schedule))


@router.patch(
    "/schedules/{schedule_id}",
    response_model=ScheduleObject,
    summary="Change a schedule",
    responses=responses(403, 404, 409, 422),
)
def patch_schedule(schedule_id: str, body: SchedulePatch, caller: Member, app: App) -> Response:
    """Runs that it has made stay as they are. `"paused": true` stops it until `false`: times that pass meanwhile are
    passed. Members change their own schedules, leads all of their team's."""
    work = partial(_patch, schedule_id=schedule_id, body=body, caller=caller, app=app, now=app.now())
    return JSONResponse(audited.write(app, caller, work))


@router.delete("/schedules/{schedule_id}", status_code=204, summary="Remove a schedule", responses=responses(403, 404))
def delete_schedule(schedule_id: str, caller: Member, app: App) -> Response:
    """No further runs; those that there are go on."""

    def work(session: Session) -> None:
        origin, schedule = _own(session, caller, schedule_id)
        schedules.end(session, origin, schedule, app.now())

    audited.write(app, caller, work)
    return Response(status_code=204)


@router.post(
    "/schedules/{schedule_id}/run",
    status_code=201,
    response_model=RunObject,
    summary="Run a schedule now",
    responses=responses(403, 404, 409, 422),
)
def run_schedule(schedule_id: str, caller: Member, app: App) -> Response:
    """A run as it would be at a time that is now, beside its times, which stay as they are; paused or not."""

    def work(session: Session) -> dict[str, Any]:
        origin, schedule = _own(session, caller, schedule_id)
        return template.made(session, origin, step.occasion(schedule, app.now()), app)

    run = audited.write(app, caller, work, wakes=("prepare", "preflight"))
    return JSONResponse(run, 201, headers={"Location": f"/runs/{run['id']}"})


class _When(NamedTuple):
    cron: str | None
    every_seconds: int | None
    time_zone: str


def _create(session: Session, body: ScheduleCreate, caller: Caller, app: State, now: datetime) -> dict[str, Any]:
    origin = template.create(session, KIND, "sch", body, caller, now)
    schedule = Schedule(
        id=origin.id,
        time_zone=checked_zone(body.time_zone),
        cron=body.cron,
        every_seconds=body.every,
        anchor_at=now,
        misfire=body.misfire.value,
        overlap=body.overlap.value,
    )
    _settle(session, origin, schedule, body, caller, app, now)
    return _json(session, origin, schedule)


def _patch(
    session: Session, schedule_id: str, body: SchedulePatch, caller: Caller, app: State, now: datetime
) -> dict[str, Any]:
    origin, schedule = _own(session, caller, schedule_id)
    template.change(session, origin, body)
    before = _When(schedule.cron, schedule.every_seconds, schedule.time_zone)
    if body.cron is not None or body.every is not None:
        schedule.cron, schedule.every_seconds = body.cron, body.every
    if body.time_zone is not None:
        schedule.time_zone = checked_zone(body.time_zone)
    if before != _When(schedule.cron, schedule.every_seconds, schedule.time_zone):
        schedule.anchor_at, schedule.next_at = now, None
    schedule.misfire = body.misfire.value if body.misfire else schedule.misfire
    schedule.overlap = body.overlap.value if body.overlap else schedule.overlap
    _settle(session, origin, schedule, body, caller, app, now)
    return _json(session, origin, schedule)


def _settle(
    session: Session,
    origin: Origin,
    schedule: Schedule,
    body: ScheduleCreate | SchedulePatch,
    caller: Caller,
    app: State,
    now: datetime,
) -> None:
    """What follows from what was set: its next time; and a run of that has to do."""
    template.settle(session, origin, schedule, body, caller, now)
    if origin.paused_at is not None:
        schedule.next_at = None
    elif schedule.next_at is None:
        schedule.next_at = schedules.timing(schedule).after(now)
    session.add(schedule)
    if body.run is not None:
        template.try_out(session, origin, step.occasion(schedule, schedules.timing(schedule).after(now)), app)


def _own(session: Session, caller: Caller, schedule_id: str) -> tuple[Origin, Schedule]:
    """A schedule that is the caller's to change, held; raises NotFound and NotAllowed."""
    return template.own(caller, origins.lock(session, Schedule, schedule_id), KIND, schedule_id)


def _json(session: Session, origin: Origin, schedule: Schedule) -> dict[str, Any]:
    times = [] if schedule.next_at is None else [schedule.next_at]
    if times:
        times += islice(schedules.timing(schedule).following(times[0]), SHOWN_TIMES - 1)
    last = None
    if schedule.last_at is not None:
        last = {"planned_at": iso(schedule.last_at), **template.came(schedule)}
    return {
        **template.repeating(session, origin),
        "cron": schedule.cron,
        "every_seconds": schedule.every_seconds,
        "time_zone": schedule.time_zone,
        "misfire": schedule.misfire,
        "overlap": schedule.overlap,
        "next_times": [iso(one.astimezone(ZoneInfo(schedule.time_zone))) for one in times],
        "last": last,
    }
