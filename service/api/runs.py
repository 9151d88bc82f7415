"""Runs: submit, list, read, cancel."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Annotated, Any

from fastapi import Body, Query
from fastapi.responses import JSONResponse, Response
from sqlmodel import Session, col

from service.api import audited
from service.api.auth import Caller, Member, Viewer
from service.api.contract import Routes
from service.api.examples import RUN_EXAMPLES
from service.api.idempotency import Keyed, SubmitterOf, carried_out
from service.api.pages import After, Limit, Page, decode, page_json, page_of
from service.api.problems import responses
from service.api.schemas import RunObject
from service.api.state import App, State
from service.domain.access import Role
from service.domain.body import AwareMoment
from service.domain.errors import Conflict, Invalid, NotAllowed, NotFound
from service.domain.request import RunRequest
from service.domain.run import RunState, how_it_ended
from service.flow.enqueue import enqueue
from service.store import cancels, run_list, runs, teams
from service.store.describe import describe_run, describe_runs
from service.store.run_list import RunFilter
from service.store.tables import Run

router = Routes("runs", route_class=Keyed)


@router.post(
    "/runs",
    status_code=201,
    response_model=RunObject,
    summary="Submit a run",
    responses={
        **responses(403, 404, 409, 422),
        200: {"model": RunObject, "description": "The run that this Idempotency-Key made before"},
    },
)
async def submit_run(
    request: Annotated[RunRequest, Body(openapi_examples=RUN_EXAMPLES)],
    submitter: SubmitterOf,
    caller: Member,
    app: App,
) -> Response:
    """The run is durable when this answers. It starts by itself once its team's money and slots allow it."""
    work = partial(enqueue_for_team, request=request, submitter=submitter, app=app, now=app.now())
    return await carried_out(app, caller, work, "run_enqueued")


@router.get("/runs", response_model=Page[RunObject], summary="List runs", responses=responses(422))
def list_runs(
    caller: Viewer,
    app: App,
    state: Annotated[list[RunState] | None, Query(description="Repeat for several")] = None,
    team: Annotated[str | None, Query(description="For admins")] = None,
    label: Annotated[list[str] | None, Query(description="name=value; repeat for several, all must match")] = None,
    output_repo: Annotated[str | None, Query(max_length=200, description="owner/name, or the name alone")] = None,
    origin: Annotated[
        str | None, Query(max_length=64, description="Id of the schedule, trigger or sweep that made them")
    ] = None,
    created_after: AwareMoment | None = None,
    created_before: AwareMoment | None = None,
    limit: Limit = 50,
    after: After = None,
) -> Response:
    """Newest first."""
    narrowed = RunFilter(
        team=team if caller.team is None else caller.team_or(team),
        states=[one.value for one in state or ()],
        labels=tuple(_label(text) for text in label or ()),
        created_after=created_after,
        created_before=created_before,
        output_repo=output_repo,
        origin=origin,
    )
    with app.gate.db.read() as session:
        rows = run_list.page(session, narrowed, decode(after), limit + 1)
        shown, has_more, following = page_of(rows, limit, lambda run: run.id)
        data = describe_runs(session, shown, app.now())
    return JSONResponse(page_json(data, has_more, following))


@router.get("/runs/{run_id}", response_model=RunObject, summary="Read a run", responses=responses(404))
def read_run(run_id: str, caller: Viewer, app: App) -> Response:
    """The whole run: state, reason, cost, attempts, output."""
    with app.gate.db.read() as session:
        return JSONResponse(describe_run(session, visible(session, caller, run_id), app.now()))


@router.post(
    "/runs/{run_id}/cancel",
    status_code=202,
    response_model=RunObject,
    summary="Cancel a run",
    responses=responses(403, 404, 409),
)
def cancel_run(run_id: str, caller: Member, app: App) -> Response:
    """Asks for the end, and says so in `reason` and `message`; the run is `cancelled` once Hugging Face confirms that
    its job has stopped. Members cancel their own runs, leads all of their team's."""
    work = partial(request_cancel, run_id=run_id, caller=caller, now=app.now())
    run = audited.write(app, caller, work, wakes=("cancel",))
    return JSONResponse(run, 202)


def enqueue_for_team(
    session: Session, request: RunRequest, submitter: SubmitterOf, app: State, now: datetime
) -> tuple[dict[str, Any], bool]:
    """A new run, where its team is there; raises NotFound, and what `enqueue` raises."""
    if teams.get(session, submitter.team) is None:
        raise NotFound(f"there is no team '{submitter.team}'", field="team", remedy="POST /teams makes one.")
    return enqueue(session, request, submitter, app.namespace, app.gate.vault, now, app.gate.limits)


def request_cancel(session: Session, run_id: str, caller: Caller, now: datetime) -> dict[str, Any]:
    """Ask for a run's end, and its children's; the run object. Raises NotFound, NotAllowed, and Conflict after it."""
    run = visible(session, caller, run_id)
    mine(run, caller)
    if RunState(run.state).is_terminal:
        raise Conflict(f"the run {how_it_ended(run.state)} already")
    cancels.request(session, (col(Run.id) == run_id) | (col(Run.parent) == run_id), caller.name, now)
    session.refresh(run)
    return describe_run(session, run, now)


def mine(run: Run, caller: Caller) -> None:
    """Raise NotAllowed where the run is not the caller's to steer: a member's own, a lead's whole team."""
    if not caller.reaches(Role.LEAD) and caller.name not in (run.requested_by, run.submitted_by):
        raise NotAllowed("members steer their own runs", remedy="Ask a lead of the team.")


def own(session: Session, caller: Caller, run_id: str) -> Run:
    """A run that is the caller's to steer, held for a change; raises NotFound and NotAllowed."""
    run = held(session, caller, run_id)
    mine(run, caller)
    return run


def held(session: Session, caller: Caller, run_id: str) -> Run:
    """A run that the caller sees, held for a change; raises NotFound."""
    visible(session, caller, run_id)
    run = runs.lock(session, run_id)
    assert run is not None, "runs are never deleted"
    return run


def visible(session: Session, caller: Caller, run_id: str) -> Run:
    """A run of a team that the caller sees; raises NotFound for any other."""
    run = runs.get(session, run_id)
    if run is None or not caller.sees(run.team):
        raise NotFound(f"there is no run '{run_id}'")
    return run


def _label(text: str) -> tuple[str, str]:
    name, found, value = text.partition("=")
    if not found or not name:
        raise Invalid(f"'{text}' is not of the form name=value", field="label", remedy="Write it as project=bot.")
    return name, value
