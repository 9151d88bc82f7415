"""A run's money, entry by entry."""

from __future__ import annotations

from fastapi.responses import JSONResponse, Response

from service.api.auth import Viewer
from service.api.contract import Routes
from service.api.pages import Page, page_json
from service.api.problems import responses
from service.api.runs import visible
from service.api.schemas import LedgerEntryObject
from service.api.state import App
from service.domain.moment import iso
from service.domain.money import to_usd
from service.store import ledger

router = Routes("runs")


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
