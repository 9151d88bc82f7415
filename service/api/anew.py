"""What follows a run that has ended: submitting it anew, and publishing what it has trained."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Annotated, Any

from fastapi import Body, Request
from fastapi.responses import JSONResponse, Response
from sqlmodel import Session

from service.api import audited
from service.api.auth import Caller, Member
from service.api.contract import Routes
from service.api.idempotency import IdempotencyKey, Keyed, as_submitter, carried_out, keyed
from service.api.problems import responses
from service.api.runs import own, visible
from service.api.schemas import RunObject
from service.api.state import App, State
from service.api.steering_schemas import RunRescue, RunRetry
from service.domain.request import RunRequest
from service.flow.clone import body_of, endpoints_of
from service.flow.enqueue import Submitter, enqueue, place_anew
from service.flow.rescue import rescue
from service.store import runs, teams
from service.store.describe import describe_run

router = Routes("runs", route_class=Keyed)


@router.post(
    "/runs/{run_id}/retry",
    status_code=201,
    response_model=RunObject,
    summary="Submit a run anew",
    responses={
        **responses(403, 404, 409, 422),
        200: {"model": RunObject, "description": "The run that this Idempotency-Key made before"},
    },
)
async def retry_run(
    run_id: str,
    body: Annotated[RunRetry, Body(default_factory=RunRetry)],
    request: Request,
    caller: Member,
    app: App,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """A new run with what one that has ended was asked for, and changes: `overrides` are fields of POST /runs,
    `with_remedy` makes the change that `failure.repair` offers. It is checked, and goes through the queue, as any
    other; `retry_of` names the old one, which stays as it is. Its own webhooks go along, with
    their secrets, as long as they are there (a week after its end)."""
    with app.gate.db.read() as session:
        team = visible(session, caller, run_id).team
    sent = {"retry": run_id, **body.model_dump(mode="json")}
    submitter = keyed(request, app, as_submitter(caller, team), idempotency_key, sent)
    work = partial(_retry, run_id=run_id, body=body, submitter=submitter, app=app, now=app.now())
    return await carried_out(app, caller, work, "run_enqueued", retry_of=run_id)


def _retry(
    session: Session, run_id: str, body: RunRetry, submitter: Submitter, app: State, now: datetime
) -> tuple[dict[str, Any], bool]:
    run = runs.get(session, run_id)
    assert run is not None, "runs are never deleted"
    webhooks = () if "webhooks" in body.overrides else endpoints_of(session, run, app.gate.vault)
    again = body_of(run, body.overrides, body.secrets, webhooks=webhooks, with_remedy=body.with_remedy)
    again["namespace"] = place_anew(session, again["namespace"], run.team, app.namespace)
    request = RunRequest.model_validate(again)
    return enqueue(session, request, submitter, app.namespace, app.gate.vault, now, app.gate.limits, retry_of=run_id)


@router.post(
    "/runs/{run_id}/rescue",
    status_code=201,
    response_model=RunObject,
    summary="Publish what a run has trained",
    responses=responses(403, 404, 409, 422),
)
def rescue_run(
    run_id: str, body: Annotated[RunRescue, Body(default_factory=RunRescue)], caller: Member, app: App
) -> Response:
    """Of a run that has trained and could not publish: a child run, for cents and without a GPU, brings to the Hub
    what is in the run's bucket: its model, or else its newest checkpoint. The model becomes the run's `output`."""
    work = partial(_rescue, run_id=run_id, body=body, caller=caller, now=app.now())
    child = audited.write(app, caller, work, wakes=("preflight",))
    return JSONResponse(child, 201, headers={"Location": f"/runs/{child['id']}"})


def _rescue(session: Session, run_id: str, body: RunRescue, caller: Caller, now: datetime) -> dict[str, Any]:
    run = own(session, caller, run_id)
    teams.refuse_archived(teams.get(session, run.team))
    return describe_run(session, rescue(session, run, caller.name, now, body.output_repo), now)
