"""Runs: submit, read, cancel, and everything a run has to tell."""

from __future__ import annotations

import asyncio
from datetime import datetime
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Body, Query, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from sqlmodel import Session

from service.api.auth import Caller, Member, Viewer
from service.api.examples import RUN_EXAMPLES
from service.api.idempotency import SubmitterOf, replayed_response
from service.api.pages import After, Limit, Page, decode, page_json, page_of
from service.api.problems import responses
from service.api.schemas import EventObject, LedgerEntryObject, LogObject, RunObject
from service.api.state import App, State
from service.domain.errors import Conflict, HubDown, Invalid, NotAllowed, NotFound
from service.domain.money import to_usd
from service.domain.request import RunRequest
from service.domain.run import RunState
from service.flow import logs
from service.flow.enqueue import enqueue
from service.hub.faults import HubFault
from service.hub.models import LogLine
from service.store import events, ledger, runs, teams
from service.store.describe import describe_run, describe_runs, iso
from service.store.runs import RunFilter
from service.store.tables import Run

router = APIRouter(tags=["runs"])


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
    request: Annotated[RunRequest, Body(openapi_examples=RUN_EXAMPLES)], submitter: SubmitterOf, app: App
) -> Response:
    """The run is durable when this answers. It starts by itself once its team's money and slots allow it."""
    work = partial(_enqueue, request=request, submitter=submitter, app=app, now=app.now())
    run, is_replay = await asyncio.wrap_future(app.gate.db.submit(work))
    if is_replay:
        return replayed_response(run)
    app.wake("admit", "notify")
    return JSONResponse(run, 201, headers={"Location": f"/runs/{run['id']}"})


@router.get("/runs", response_model=Page[RunObject], summary="List runs", responses=responses(422))
def list_runs(
    caller: Viewer,
    app: App,
    state: Annotated[list[RunState] | None, Query(description="Repeat for several")] = None,
    team: Annotated[str | None, Query(description="For admins")] = None,
    label: Annotated[list[str] | None, Query(description="name=value; repeat for several, all must match")] = None,
    created_after: datetime | None = None,
    created_before: datetime | None = None,
    limit: Limit = 50,
    after: After = None,
) -> Response:
    """Newest first."""
    narrowed = RunFilter(
        team=team if caller.team is None else caller.team_or(team),
        states=[one.value for one in state or ()],
        labels=tuple(_label(text) for text in label or ()),
        created_after=_aware(created_after, "created_after"),
        created_before=_aware(created_before, "created_before"),
    )
    with app.gate.db.read() as session:
        rows = runs.page(session, narrowed, decode(after), limit + 1)
        shown, has_more, following = page_of(rows, limit, lambda run: run.id)
        data = describe_runs(session, shown, app.now())
    return JSONResponse(page_json(data, has_more, following))


@router.get("/runs/{run_id}", response_model=RunObject, summary="Read a run", responses=responses(404))
def read_run(run_id: str, caller: Viewer, app: App) -> Response:
    """The whole run: state, reason, cost, attempts, output."""
    with app.gate.db.read() as session:
        return JSONResponse(describe_run(session, _visible(session, caller, run_id), app.now()))


@router.post(
    "/runs/{run_id}/cancel",
    status_code=202,
    response_model=RunObject,
    summary="Cancel a run",
    responses=responses(403, 404, 409),
)
def cancel_run(run_id: str, caller: Member, app: App) -> Response:
    """Asks for the end; the run is `cancelled` once Hugging Face confirms that its job has stopped. Members cancel
    their own runs, leads all of their team's."""
    run = app.gate.db.write(partial(_request_cancel, run_id=run_id, caller=caller, now=app.now()))
    app.wake("cancel")
    return JSONResponse(run, 202)


@router.get(
    "/runs/{run_id}/events", response_model=Page[EventObject], summary="A run's events", responses=responses(404, 422)
)
def list_events(run_id: str, caller: Viewer, app: App, limit: Limit = 100, after: After = None) -> Response:
    """In order; `sequence` has no gaps."""
    with app.gate.db.read() as session:
        _visible(session, caller, run_id)
        rows = events.of_run(session, run_id, _sequence(after), limit + 1)
    shown, has_more, following = page_of(rows, limit, lambda event: event.sequence)
    data = [
        {
            "id": event.id,
            "position": event.position,
            "sequence": event.sequence,
            "type": event.type,
            "timestamp": iso(event.timestamp),
            "data": event.data,
        }
        for event in shown
    ]
    return JSONResponse(page_json(data, has_more, following))


@router.get(
    "/runs/{run_id}/logs",
    response_model=LogObject,
    summary="A run's log",
    responses={**responses(404, 422, 503), 200: {"content": {"text/plain": {}}}},
)
def read_logs(
    run_id: str,
    request: Request,
    caller: Viewer,
    app: App,
    tail: Annotated[int | None, Query(ge=1, le=100_000, description="Only the last lines")] = None,
    attempt: Annotated[int | None, Query(ge=1, description="Which attempt; the last one if left out")] = None,
) -> Response:
    """While the job runs, what Hugging Face has so far; afterwards the kept copy. Secret values are masked.
    `Accept: text/plain` answers the bare lines."""
    with app.gate.db.read() as session:
        run = _visible(session, caller, run_id)
        number = run.attempt if attempt is None else attempt
        if number > run.attempt:
            raise NotFound(f"{run_id} has {run.attempt} attempts", field="attempt")
        kept = logs.kept_lines(session, run_id, number)
    lines, is_whole = kept if kept is not None else (_live(app, run, number, tail), False)
    lines = lines if tail is None else lines[-tail:]
    if request.headers.get("accept", "").startswith("text/plain"):
        return PlainTextResponse("".join(f"{line.text}\n" for line in lines))
    data = [{"timestamp": line.timestamp, "line": line.text} for line in lines]
    return JSONResponse({"data": data, "attempt": number, "is_kept": kept is not None, "is_whole": is_whole})


@router.get(
    "/runs/{run_id}/ledger", response_model=Page[LedgerEntryObject], summary="A run's money", responses=responses(404)
)
def read_ledger(run_id: str, caller: Viewer, app: App) -> Response:
    """Each reservation, charge and release with its arithmetic."""
    with app.gate.db.read() as session:
        run = _visible(session, caller, run_id)
        entries = ledger.of_run(session, run_id)
    data = [
        {
            "kind": entry.kind,
            "amount_usd": to_usd(entry.amount_micro_usd),
            "attempt": entry.attempt,
            "price_per_minute_usd": to_usd(entry.price_per_minute_micro_usd),
            "minutes": entry.minutes,
            "budget": f"{run.team}/month",
            "at": iso(entry.at),
        }
        for entry in entries
    ]
    return JSONResponse(page_json(data, False, None))


def _enqueue(
    session: Session, request: RunRequest, submitter: SubmitterOf, app: State, now: datetime
) -> tuple[dict[str, Any], bool]:
    if teams.get(session, submitter.team) is None:
        raise NotFound(f"there is no team '{submitter.team}'", field="team", remedy="POST /teams makes one.")
    return enqueue(session, request, submitter, app.namespace, app.gate.vault, now)


def _request_cancel(session: Session, run_id: str, caller: Caller, now: datetime) -> dict[str, Any]:
    run = _visible(session, caller, run_id)
    if not caller.reaches("lead") and run.requested_by != caller.name:
        raise NotAllowed("members cancel their own runs", remedy="Ask a lead of the team.")
    if RunState(run.state).is_terminal:
        raise Conflict(f"the run has already {run.state}" if run.state != "cancelled" else "the run is cancelled")
    runs.request_cancel(session, run, caller.name, now)
    session.refresh(run)
    return describe_run(session, run, now)


def _visible(session: Session, caller: Caller, run_id: str) -> Run:
    run = runs.get(session, run_id)
    if run is None or not caller.sees(run.team):
        raise NotFound(f"there is no run '{run_id}'")
    return run


def _live(app: State, run: Run, number: int, tail: int | None) -> list[LogLine]:
    with app.gate.db.read() as session:
        attempt = runs.current_attempt(session, run)
    if attempt is None or attempt.attempt != number or attempt.hub_job_id is None or run.finished_at is not None:
        return []
    try:
        return logs.live_lines(app.gate, run, attempt, tail)
    except HubFault as error:
        raise HubDown(f"the log could not be read: {error.message}", remedy="Try again in a moment.") from error


def _label(text: str) -> tuple[str, str]:
    name, found, value = text.partition("=")
    if not found or not name:
        raise Invalid(f"'{text}' is not of the form name=value", field="label")
    return name, value


def _aware(value: datetime | None, field: str) -> datetime | None:
    if value is not None and value.tzinfo is None:
        raise Invalid("a time needs its zone", field=field, remedy="Write it as 2026-12-01T00:00:00Z.")
    return value


def _sequence(after: str | None) -> int:
    key = decode(after)
    if key is None:
        return 0
    if not key.isdecimal():
        raise Invalid("not a cursor of this list", field="after", remedy="Pass the 'next' of the page before.")
    return int(key)
