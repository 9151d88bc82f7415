"""Submitting a run anew, as it was or with changes."""

from __future__ import annotations

import asyncio
from datetime import datetime
from functools import partial
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Body, Request
from fastapi.responses import JSONResponse, Response
from sqlmodel import Session

from service.api.auth import Member
from service.api.idempotency import IdempotencyKey, keyed, replayed_response
from service.api.problems import responses
from service.api.runs import visible
from service.api.schemas import RunObject
from service.api.state import App, State
from service.api.steering_schemas import RunRetry
from service.domain.request import RunRequest
from service.flow.clone import body_of
from service.flow.enqueue import Submitter, enqueue
from service.store import runs

log = structlog.get_logger()
router = APIRouter(tags=["runs"])


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
    other; `retry_of` names the old one, which stays as it is."""
    with app.gate.db.read() as session:
        team = visible(session, caller, run_id).team
    sent = {"retry": run_id, **body.model_dump(mode="json")}
    submitter = keyed(request, app, Submitter(team, caller.name), idempotency_key, sent)
    work = partial(_retry, run_id=run_id, body=body, submitter=submitter, app=app, now=app.now())
    run, is_replay = await asyncio.wrap_future(app.gate.db.submit(work))
    if is_replay:
        return replayed_response(run)
    log.info("run_enqueued", run_id=run["id"], team=run["team"], requested_by=run["requested_by"], retry_of=run_id)
    app.wake("prepare", "preflight", "notify")
    return JSONResponse(run, 201, headers={"Location": f"/runs/{run['id']}"})


def _retry(
    session: Session, run_id: str, body: RunRetry, submitter: Submitter, app: State, now: datetime
) -> tuple[dict[str, Any], bool]:
    run = runs.get(session, run_id)
    assert run is not None, "runs are never deleted"
    again = body_of(run, body.overrides, body.secrets, with_remedy=body.with_remedy)
    if app.namespace is not None:
        again.pop("namespace", None)
    request = RunRequest.model_validate(again)
    return enqueue(session, request, submitter, app.namespace, app.gate.vault, now, app.gate.limits, retry_of=run_id)
