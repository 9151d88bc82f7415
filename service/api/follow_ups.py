"""What follows a run that is there already."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any

from fastapi import Request
from fastapi.responses import Response
from sqlmodel import Session

from service.api.auth import Caller, Member
from service.api.contract import Routes
from service.api.idempotency import IdempotencyKey, as_submitter, carried_out, keyed
from service.api.problems import responses
from service.api.runs import own, visible
from service.api.schemas import RunObject
from service.api.state import App
from service.api.steering_schemas import RunThen
from service.domain.errors import Conflict
from service.domain.follow_up import has_model
from service.domain.run import RunState, how_it_ended
from service.flow.enqueue import Submitter, replay
from service.flow.follow_up import then_of_stored
from service.store import idempotency
from service.store.describe import describe_run
from service.store.tables import Run

router = Routes("runs")


@router.post(
    "/runs/{run_id}/then",
    status_code=201,
    response_model=RunObject,
    summary="Go on from a run's model",
    responses={
        **responses(403, 404, 409, 422),
        200: {"model": RunObject, "description": "The run, to which this Idempotency-Key added before"},
    },
)
async def follow_run(
    run_id: str, body: RunThen, request: Request, caller: Member, app: App, idempotency_key: IdempotencyKey = None
) -> Response:
    """Child runs as of `then` in POST /runs, for a run that goes on yet or has a model, a rescued one too: merge its
    adapter, try it, measure it. What comes after a merge, an earlier one too, looks at the merged model. Answers with
    the run, which lists them in `follow_ups`; they are within its `max_cost_usd` and the budgets of its team."""
    with app.gate.db.read() as session:
        team = visible(session, caller, run_id).team
    sent = {"then_of": run_id, **body.model_dump(mode="json")}
    submitter = keyed(request, app, as_submitter(caller, team), idempotency_key, sent)
    work = partial(_follow, run_id=run_id, body=body, submitter=submitter, caller=caller, now=app.now())
    return await carried_out(app, caller, work, "run_followed", kinds=[one.kind for one in body.then], by=caller.name)


def _follow(
    session: Session, run_id: str, body: RunThen, submitter: Submitter, caller: Caller, now: datetime
) -> tuple[dict[str, Any], bool]:
    run = own(session, caller, run_id)
    if (key := submitter.idempotency_key) is not None:
        # the run is held: two requests for it under one key come here one after the other
        used = idempotency.find(session, run.team, key)
        found = used or idempotency.claim(session, run.team, key, submitter.body_hmac, run.id, now)
        if used is not None or (found.run_id, found.body_hmac) != (run.id, submitter.body_hmac):
            return replay(session, found.run_id, found.body_hmac, submitter.body_hmac, now), True
    _refuse(run)
    then_of_stored(session, run, body.then, caller.name, now)
    session.flush()
    return describe_run(session, run, now), False


def _refuse(run: Run) -> None:
    """Raise Conflict for a run that nothing can follow."""
    if run.kind is not None:
        raise Conflict(f"it is a child run ({run.kind}) itself", remedy=f"Send it to its run: {run.parent}.")
    if run.state in (RunState.FAILED, RunState.CANCELLED) and not has_model(run.output):
        raise Conflict(
            f"the run {how_it_ended(run.state)}: there is no model to go on from",
            remedy='Submit it anew, with "then" in the body.',
        )
    if run.cancel_requested_at is not None and run.finished_at is None:
        raise Conflict("the run is being cancelled", remedy="Submit it anew.")
