"""Triggers: runs that come with new commits of a repository on the Hub."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any

from fastapi.responses import JSONResponse, Response
from sqlmodel import Session

from service.api import audited, template
from service.api.auth import Caller, Member, Viewer
from service.api.contract import Routes
from service.api.pages import After, Limit, Page, decode, page_json, page_of
from service.api.problems import responses
from service.api.state import App, State
from service.api.trigger_schemas import NewTriggerObject, TriggerCreate, TriggerObject, TriggerPatch
from service.domain.errors import Invalid
from service.domain.moment import iso, iso_or_none
from service.flow import trigger as step
from service.store import origins, triggers
from service.store.tables import Origin, Trigger

router = Routes("triggers")
KIND = "trigger"
ANY_REVISION = "0" * 40


@router.post(
    "/triggers",
    status_code=201,
    response_model=NewTriggerObject,
    summary="Make a trigger",
    responses=responses(403, 404, 409, 422),
)
def create_trigger(body: TriggerCreate, caller: Member, app: App) -> Response:
    """A webhook of the Hub on `repo` that points to `hook` and sends `secret` makes a run of each new commit. What it
    says is a hint: the repository is read again, with the team's tokens, and the commit found there is what counts."""
    work = partial(_create, body=body, caller=caller, app=app, now=app.now())
    made = audited.write(app, caller, work)
    return JSONResponse(made, 201, headers={"Location": f"/triggers/{made['id']}"})


@router.get("/triggers", response_model=Page[TriggerObject], summary="List triggers", responses=responses(422))
def list_triggers(caller: Viewer, app: App, limit: Limit = 50, after: After = None) -> Response:
    """The team's, newest first; all teams' for admins."""
    with app.gate.db.read() as session:
        rows = origins.page(session, Trigger, caller.team, decode(after), limit + 1)
        shown, has_more, following = page_of(rows, limit, lambda pair: pair[0].id)
        data = [_json(session, app, origin, trigger) for origin, trigger in shown]
    return JSONResponse(page_json(data, has_more, following))


@router.get("/triggers/{trigger_id}", response_model=TriggerObject, summary="Read a trigger", responses=responses(404))
def read_trigger(trigger_id: str, caller: Viewer, app: App) -> Response:
    """With what came of the last look at its repository."""
    with app.gate.db.read() as session:
        pair = origins.get(session, Trigger, trigger_id)
        origin, trigger = template.seen(caller, pair, KIND, trigger_id)
        return JSONResponse(_json(session, app, origin, trigger))


@router.patch(
    "/triggers/{trigger_id}",
    response_model=TriggerObject,
    summary="Change a trigger",
    responses=responses(403, 404, 409, 422),
)
def patch_trigger(trigger_id: str, body: TriggerPatch, caller: Member, app: App) -> Response:
    """Runs that it has made stay as they are. What is told while it is paused is passed over."""
    work = partial(_patch, trigger_id=trigger_id, body=body, caller=caller, app=app, now=app.now())
    return JSONResponse(audited.write(app, caller, work))


@router.delete("/triggers/{trigger_id}", status_code=204, summary="Remove a trigger", responses=responses(403, 404))
def delete_trigger(trigger_id: str, caller: Member, app: App) -> Response:
    """No further runs; those that there are go on."""

    def work(session: Session) -> None:
        origin, trigger = _own(session, caller, trigger_id)
        triggers.end(session, origin, trigger, app.now())

    audited.write(app, caller, work)
    return Response(status_code=204)


@router.post(
    "/triggers/{trigger_id}/rotate-secret",
    response_model=NewTriggerObject,
    summary="Replace a trigger's secret",
    responses=responses(403, 404),
)
def rotate_trigger_secret(trigger_id: str, caller: Member, app: App) -> Response:
    """The new one is shown this once, and the old one is refused from now on."""

    def work(session: Session) -> dict[str, Any]:
        origin, trigger = _own(session, caller, trigger_id)
        trigger.secret_number += 1
        session.add(trigger)
        return _with_secret(session, app, origin, trigger)

    return JSONResponse(audited.write(app, caller, work))


@router.post(
    "/triggers/{trigger_id}/run",
    status_code=202,
    response_model=TriggerObject,
    summary="Look at a trigger's repository now",
    responses=responses(403, 404),
)
def run_trigger(trigger_id: str, caller: Member, app: App) -> Response:
    """As if the Hub had told of it and its debounce were over; the newest commit makes a run although it was seen
    before, unless it has made one."""

    def work(session: Session) -> dict[str, Any]:
        origin, trigger = _own(session, caller, trigger_id)
        trigger.due_at = trigger.told_at = app.now()
        trigger.seen_revision = None
        session.add(trigger)
        return _json(session, app, origin, trigger)

    return JSONResponse(audited.write(app, caller, work, wakes=("trigger",)), 202)


def _create(session: Session, body: TriggerCreate, caller: Caller, app: State, now: datetime) -> dict[str, Any]:
    origin = template.create(session, KIND, "trg", body, caller, now)
    trigger = Trigger(
        id=origin.id,
        repo_type=body.repo_type,
        repo=body.repo,
        debounce_seconds=body.debounce,
        overlap=body.overlap.value,
    )
    _settle(session, origin, trigger, body, caller, app, now)
    return _with_secret(session, app, origin, trigger)


def _patch(
    session: Session, trigger_id: str, body: TriggerPatch, caller: Caller, app: State, now: datetime
) -> dict[str, Any]:
    origin, trigger = _own(session, caller, trigger_id)
    template.change(session, origin, body)
    if body.debounce is not None:
        trigger.debounce_seconds = body.debounce
    if body.overlap is not None:
        trigger.overlap = body.overlap.value
    _settle(session, origin, trigger, body, caller, app, now)
    return _json(session, app, origin, trigger)


def _settle(
    session: Session,
    origin: Origin,
    trigger: Trigger,
    body: TriggerCreate | TriggerPatch,
    caller: Caller,
    app: State,
    now: datetime,
) -> None:
    """What follows from what was set; and a run of a new commit has to do, and must not start itself."""
    template.settle(session, origin, trigger, body, caller, now)
    if origin.paused_at is not None:
        trigger.due_at = trigger.told_at = None
        session.add(trigger)
    if body.run is not None:
        template.try_out(session, origin, step.occasion(origin, trigger, ANY_REVISION, now), app)
    if (way := triggers.round_trip(session, origin, trigger)) is not None:
        raise Invalid(
            f"its runs would start one another for ever: {' → '.join(way)}",
            field="run.output_repo",
            remedy="Publish to a repository that no trigger on this way watches.",
        )


def _own(session: Session, caller: Caller, trigger_id: str) -> tuple[Origin, Trigger]:
    """A trigger that is the caller's to change, held; raises NotFound and NotAllowed."""
    return template.own(caller, origins.lock(session, Trigger, trigger_id), KIND, trigger_id)


def _with_secret(session: Session, app: State, origin: Origin, trigger: Trigger) -> dict[str, Any]:
    return {**_json(session, app, origin, trigger), "secret": triggers.secret_of(app.gate.vault, trigger)}


def _json(session: Session, app: State, origin: Origin, trigger: Trigger) -> dict[str, Any]:
    last = None
    if trigger.last_at is not None:
        last = {"at": iso(trigger.last_at), "revision": trigger.last_revision, **template.came(trigger)}
    return {
        **template.repeating(session, origin),
        "repo_type": trigger.repo_type,
        "repo": trigger.repo,
        "debounce_seconds": trigger.debounce_seconds,
        "overlap": trigger.overlap,
        "hook": f"{(app.gate.public_url or '').rstrip('/')}/hooks/hub/{origin.id}",
        "looks_at": iso_or_none(trigger.due_at),
        "trouble": trigger.trouble,
        "last": last,
    }
