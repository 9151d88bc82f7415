"""What a run has to tell: its events, its log, its money."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from service.api.auth import Viewer
from service.api.pages import After, Limit, Page, decode_number, page_json, page_of
from service.api.problems import responses
from service.api.runs import visible
from service.api.schemas import EventObject, LedgerEntryObject, LogObject
from service.api.state import App, State
from service.domain.errors import HubDown, NotAvailable, NotFound
from service.domain.moment import iso
from service.domain.money import to_usd
from service.flow import logs
from service.hub.faults import HubFault
from service.hub.models import LogLine
from service.store import events, ledger, runs
from service.store.tables import Run

router = APIRouter(tags=["runs"])


@router.get(
    "/runs/{run_id}/events", response_model=Page[EventObject], summary="A run's events", responses=responses(404, 422)
)
def list_events(run_id: str, caller: Viewer, app: App, limit: Limit = 100, after: After = None) -> Response:
    """In order; `sequence` has no gaps."""
    with app.gate.db.read() as session:
        visible(session, caller, run_id)
        rows = events.of(session, run_id, decode_number(after), limit + 1)
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
    follow: Annotated[bool, Query(description="Not built yet: refused")] = False,
) -> Response:
    """While the job runs, what Hugging Face has so far; afterwards the kept copy. Secret values are masked.
    `Accept: text/plain` answers the bare lines."""
    if follow:
        raise NotAvailable("logs are not followed yet", field="follow", remedy="Ask again with 'tail'.")
    with app.gate.db.read() as session:
        run = visible(session, caller, run_id)
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
        visible(session, caller, run_id)
        entries = ledger.of_run(session, run_id)
    data = [
        {
            "kind": entry.kind,
            "amount_usd": to_usd(entry.amount_micro_usd),
            "attempt": entry.attempt,
            "price_per_minute_usd": to_usd(entry.price_per_minute_micro_usd),
            "minutes": entry.minutes,
            "budget": entry.budgets[0] if entry.budgets else None,
            "budgets": entry.budgets,
            "at": iso(entry.at),
        }
        for entry in entries
    ]
    return JSONResponse(page_json(data, False, None))


def _live(app: State, run: Run, number: int, tail: int | None) -> list[LogLine]:
    with app.gate.db.read() as session:
        attempt = runs.current_attempt(session, run)
    if attempt is None or attempt.attempt != number or attempt.hub_job_id is None or run.finished_at is not None:
        return []
    try:
        return logs.live_lines(app.gate, run, attempt, tail)
    except HubFault as error:
        raise HubDown(f"the log could not be read: {error.message}", remedy="Try again in a moment.") from error
