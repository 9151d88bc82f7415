"""What a run has to tell: its events, its log, its money."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from service.api.auth import Viewer
from service.api.pages import After, Limit, Page, decode_number, page_json, page_of
from service.api.problems import responses
from service.api.runs import visible
from service.api.schemas import EventObject, LedgerEntryObject
from service.api.state import App
from service.domain.moment import iso
from service.domain.money import to_usd
from service.store import events, ledger

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
