"""What runs keep to go on from: where it is, how much, until when, and that it may go."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Annotated, Any

from fastapi import Query
from fastapi.responses import JSONResponse, Response
from pydantic import Field
from sqlmodel import Session

from service.api import audited
from service.api.attempt_schemas import CheckpointObject
from service.api.auth import Caller, Member, Viewer
from service.api.contract import Routes
from service.api.pages import After, Limit, Page, decode, page_json, page_of
from service.api.problems import responses
from service.api.runs import own
from service.api.schemas import RunObject
from service.api.state import App
from service.api.wire import Wire
from service.domain.errors import Conflict
from service.domain.moment import iso
from service.domain.run import RunState
from service.store import saved
from service.store.describe import describe_run
from service.store.tables import Run

router = Routes("runs")


class BucketObject(Wire):
    """A bucket of checkpoints. `kept_until`: null while its run goes on."""

    bucket: str
    run_id: str
    team: str
    state: str
    newest: CheckpointObject | None
    has_model: bool
    size_bytes: int = Field(description="As last seen")
    read_at: datetime | None
    kept_until: datetime | None


@router.get(
    "/checkpoints", response_model=Page[BucketObject], summary="What is stored of checkpoints", responses=responses(422)
)
def list_buckets(
    caller: Viewer,
    app: App,
    team: Annotated[str | None, Query(description="For admins")] = None,
    limit: Limit = 50,
    after: After = None,
) -> Response:
    """The buckets that runs have still, the newest run's first."""
    mine_only = team if caller.team is None else caller.team_or(team)
    with app.gate.db.read() as session:
        rows = saved.page(session, mine_only, decode(after), limit + 1)
    shown, has_more, following = page_of(rows, limit, lambda run: run.id)
    data = [_bucket(run, app.gate.limits.checkpoint_age) for run in shown]
    return JSONResponse(page_json(data, has_more, following))


@router.delete(
    "/runs/{run_id}/checkpoints",
    status_code=202,
    response_model=RunObject,
    summary="Delete a run's checkpoints",
    responses=responses(403, 404, 409),
)
def delete_checkpoints(run_id: str, caller: Member, app: App) -> Response:
    """Of a run that has ended: nothing goes on from them any more, nor can its model be rescued from there."""
    work = partial(_unwant, run_id=run_id, caller=caller, now=app.now())
    run = audited.write(app, caller, work, wakes=("tidy",))
    return JSONResponse(run, 202)


def _unwant(session: Session, run_id: str, caller: Caller, now: datetime) -> dict[str, Any]:
    run = own(session, caller, run_id)
    if not RunState(run.state).is_terminal:
        raise Conflict("the run goes on, and may need them", remedy="Cancel it first.")
    if run.bucket is None:
        raise Conflict("the run has no checkpoints", remedy="GET /checkpoints lists what is stored.")
    run.unwanted_at = run.unwanted_at or now
    session.add(run)
    session.flush()
    return describe_run(session, run, now)


def _bucket(run: Run, age: timedelta) -> dict[str, Any]:
    told = run.saved or {}
    until = run.finished_at
    if until is not None and run.state != RunState.SUCCEEDED and run.unwanted_at is None:
        until += age
    return {
        "bucket": run.bucket,
        "run_id": run.id,
        "team": run.team,
        "state": run.state,
        **{name: told.get(name) for name in ("newest", "has_model", "size_bytes", "read_at")},
        "kept_until": None if until is None else iso(until),
    }
