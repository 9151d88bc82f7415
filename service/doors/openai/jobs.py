"""/v1/fine_tuning/jobs: runs as OpenAI's fine-tuning jobs."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Header, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response
from sqlmodel import Session

from service.api import audited
from service.api.auth import Caller, Member, Viewer
from service.api.edge import json_body
from service.api.runs import own, request_cancel
from service.api.state import App, State
from service.domain.errors import Invalid, NotFound
from service.doors.openai import job_events
from service.doors.openai.asked import JobRequest
from service.doors.openai.create import Order, create, made_before, order_of
from service.doors.openai.file_object import page_object
from service.doors.openai.ids import JOB, limit_of, only, run_id, team_of
from service.doors.openai.job_checkpoints import checkpoints
from service.doors.openai.job_object import job_object
from service.flow import pause
from service.store import audit, fine_tuning, flavors
from service.store.describe import describe_runs
from service.store.tables import FineTuningJob, Run

log = structlog.get_logger()
router = APIRouter(prefix="/v1", tags=["runs"], include_in_schema=False)
METADATA = re.compile(r"metadata\[(.{1,64})\]", re.S)
USUAL, USUAL_CHECKPOINTS, MOST = 20, 10, 200
MOST_EVENTS = 1000
Pair = tuple[FineTuningJob, Run]


@router.post("/fine_tuning/jobs")
async def create_job(
    request: Request, caller: Member, app: App, idempotency_key: Annotated[str | None, Header()] = None
) -> Response:
    """Durable when this answers. Sent again, with its `Idempotency-Key` or as its client's own retry, it is one job."""
    only(request)
    body = await json_body(request)
    order = order_of(request, caller, app, idempotency_key, body)
    if idempotency_key is not None and (known := await run_in_threadpool(_known, app, order)) is not None:
        return _replayed(known)
    asked = JobRequest.model_validate(body)

    def work(session: Session) -> tuple[dict[str, Any], bool]:
        run, is_replay = create(session, asked, order, app, app.now())
        return _shown(session, [_pair(session, run)], app)[0], is_replay

    written = audited.submit(app, caller, work, wakes=("files", "prepare", "preflight"))
    job, is_replay = await asyncio.wrap_future(written)
    if is_replay:
        return _replayed(job)
    log.info("run_enqueued", run_id=job["tunegate"]["run_id"], team=order.who.team, door="openai")
    return JSONResponse(job)


@router.get("/fine_tuning/jobs")
def list_jobs(request: Request, caller: Viewer, app: App) -> Response:
    """Newest first; `metadata[k]=v` narrows, `metadata=null` to those without."""
    given = {its[1]: value for name, value in request.query_params.items() if (its := METADATA.fullmatch(name))}
    only(request, "after", "limit", "metadata", *(f"metadata[{name}]" for name in given))
    if (alone := request.query_params.get("metadata")) not in (None, "", "null") or (alone and given):
        raise Invalid("'metadata' is 'null' or has names", field="metadata", remedy="Write metadata[name]=value.")
    limit, after = limit_of(request, USUAL, MOST), request.query_params.get("after")
    team = team_of(request, caller)
    with app.gate.db.read() as session:
        before = None if after is None else run_id(after)
        found = fine_tuning.page(session, team, given, before, limit + 1, without_metadata=alone == "null")
        data = _shown(session, found[:limit], app)
    return JSONResponse(page_object(data, len(found) > limit))


@router.get("/fine_tuning/jobs/{fine_tuning_job_id}")
def read_job(fine_tuning_job_id: str, request: Request, caller: Viewer, app: App) -> Response:
    """One job."""
    only(request)
    with app.gate.db.read() as session:
        return JSONResponse(_shown(session, [_job(session, request, caller, fine_tuning_job_id)], app)[0])


@router.post("/fine_tuning/jobs/{fine_tuning_job_id}/cancel")
def cancel_job(fine_tuning_job_id: str, request: Request, caller: Member, app: App) -> Response:
    """`cancelled` once Hugging Face confirms that its job has stopped."""

    def cancel(session: Session, run: Run) -> None:
        request_cancel(session, run.id, caller, app.now())

    return _steered(fine_tuning_job_id, request, caller, app, cancel)


@router.post("/fine_tuning/jobs/{fine_tuning_job_id}/pause")
def pause_job(fine_tuning_job_id: str, request: Request, caller: Member, app: App) -> Response:
    """`paused` once its job has stopped at a checkpoint; one that waits, at once."""

    def hold(session: Session, run: Run) -> None:
        pause.hold(session, own(session, caller, run.id), caller.name, app.now())

    return _steered(fine_tuning_job_id, request, caller, app, hold)


@router.post("/fine_tuning/jobs/{fine_tuning_job_id}/resume")
def resume_job(fine_tuning_job_id: str, request: Request, caller: Member, app: App) -> Response:
    """It goes on from its newest checkpoint when its turn comes."""

    def release(session: Session, run: Run) -> None:
        pause.release(session, own(session, caller, run.id), caller.name, app.now())

    return _steered(fine_tuning_job_id, request, caller, app, release)


@router.get("/fine_tuning/jobs/{fine_tuning_job_id}/events")
def list_events(fine_tuning_job_id: str, request: Request, caller: Viewer, app: App) -> Response:
    """Newest first: messages of the run, metrics of the training."""
    only(request, "after", "limit")
    limit, after = limit_of(request, USUAL, MOST_EVENTS), request.query_params.get("after")
    place = None if after is None else job_events.place_of(after)
    with app.gate.db.read() as session:
        _, run = _job(session, request, caller, fine_tuning_job_id)
        data = job_events.page(session, run.id, place, limit + 1)
    return JSONResponse(page_object(data[:limit], len(data) > limit))


@router.get("/fine_tuning/jobs/{fine_tuning_job_id}/checkpoints")
def list_checkpoints(fine_tuning_job_id: str, request: Request, caller: Viewer, app: App) -> Response:
    """Newest first."""
    only(request, "after", "limit")
    limit, after = limit_of(request, USUAL_CHECKPOINTS, MOST), request.query_params.get("after")
    with app.gate.db.read() as session:
        _, run = _job(session, request, caller, fine_tuning_job_id)
        found = checkpoints(session, run)
    if after is not None:
        ids = [one["id"] for one in found]
        if after not in ids:
            raise Invalid("no checkpoint of this job", field="after", remedy="Send the last id of the page before.")
        found = found[ids.index(after) + 1 :]
    return JSONResponse(page_object(found[:limit], len(found) > limit))


def _steered(
    fine_tuning_job_id: str, request: Request, caller: Caller, app: State, steer: Callable[[Session, Run], None]
) -> Response:
    only(request)

    def work(session: Session) -> dict[str, Any]:
        job, run = _job(session, request, caller, fine_tuning_job_id)
        audit.about(session, f"/runs/{run.id}", run.team)
        steer(session, run)
        session.flush()
        session.refresh(run)
        return _shown(session, [(job, run)], app)[0]

    return JSONResponse(audited.write(app, caller, work, wakes=("preflight", "admit", "cancel")))


def _known(app: State, order: Order) -> dict[str, Any] | None:
    with app.gate.db.read() as session:
        run = made_before(session, order, app.now())
        return None if run is None else _shown(session, [_pair(session, run)], app)[0]


def _pair(session: Session, run: Run) -> Pair:
    job = fine_tuning.get(session, run.id)
    assert job is not None, "both are made together"
    return job, run


def _job(session: Session, request: Request, caller: Caller, fine_tuning_job_id: str) -> Pair:
    run = session.get(Run, run_id(fine_tuning_job_id))
    job = None if run is None else fine_tuning.get(session, run.id)
    if run is None or job is None or team_of(request, caller) not in (None, job.team):
        raise NotFound(
            f"there is no fine-tuning job '{fine_tuning_job_id[:100]}'",
            field="fine_tuning_job_id",
            remedy=f"Ids begin with '{JOB}'; GET /v1/fine_tuning/jobs lists yours.",
        )
    return job, run


def _shown(session: Session, pairs: Sequence[Pair], app: State) -> list[dict[str, Any]]:
    now = app.now()
    described = describe_runs(session, [run for _, run in pairs], now)
    return [
        job_object(job, run, told, flavors.hardware(session, run.flavor), now)
        for (job, run), told in zip(pairs, described, strict=True)
    ]


def _replayed(job: dict[str, Any]) -> Response:
    return JSONResponse(job, headers={"Idempotent-Replayed": "true"})
