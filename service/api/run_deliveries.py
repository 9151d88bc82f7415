"""What was sent of one run, to whom, and whether it arrived."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from fastapi.responses import JSONResponse, Response
from pydantic import Field

from service.api.auth import Viewer
from service.api.contract import Routes
from service.api.pages import After, Limit, Page, decode, page_json, page_of
from service.api.problems import responses
from service.api.runs import visible
from service.api.state import App
from service.api.wire import Wire
from service.domain.access import Role
from service.domain.endpoint import Kind, without_query
from service.domain.moment import iso, iso_or_none
from service.store import deliveries
from service.store.tables import Delivery, Endpoint, Event

router = Routes("runs")


class SentObject(Wire):
    """One event of a run for one endpoint, without what was sent: that is in the endpoint's own log."""

    id: str
    endpoint_id: str
    kind: Kind
    url: str = Field(description="Without its query; of a channel, without its path")
    is_own: bool = Field(description="Whether the endpoint came with the run")
    event_type: str
    sequence: int
    state: Literal["pending", "delivered", "failed"]
    tries: int
    status: int | None = Field(description="Of HTTP, or of an e-mail SMTP's; null before the first answer")
    error: str | None
    created_at: datetime
    delivered_at: datetime | None


@router.get(
    "/runs/{run_id}/deliveries",
    response_model=Page[SentObject],
    summary="What was sent of a run",
    responses=responses(404, 422),
)
def list_sent(run_id: str, caller: Viewer, app: App, limit: Limit = 50, after: After = None) -> Response:
    """The newest first, of the last 30 days. Everybody of the team sees what went to the run's own endpoints, leads
    what went to the team's as well, admins all."""
    is_lead, is_admin = caller.reaches(Role.LEAD), caller.team is None
    with app.gate.db.read() as session:
        run = visible(session, caller, run_id)
        rows = deliveries.of_run(session, run, decode(after), limit + 1, with_teams=is_lead, with_admins=is_admin)
    shown, has_more, following = page_of(rows, limit, lambda row: row[0].id)
    return JSONResponse(page_json([_sent(*one) for one in shown], has_more, following))


def _sent(delivery: Delivery, event: Event, endpoint: Endpoint) -> dict[str, Any]:
    return {
        "id": delivery.id,
        "endpoint_id": endpoint.id,
        "kind": endpoint.kind,
        "url": without_query(endpoint.url),
        "is_own": endpoint.run_id is not None,
        "event_type": event.type,
        "sequence": delivery.sequence,
        "state": delivery.state,
        "tries": delivery.tries,
        "status": delivery.last_status,
        "error": delivery.last_error,
        "created_at": iso(delivery.created_at),
        "delivered_at": iso_or_none(delivery.delivered_at),
    }
