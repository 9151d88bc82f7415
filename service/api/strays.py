"""Jobs that nobody here asked for, with their dollars."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query
from fastapi.responses import JSONResponse, Response

from service.api.auth import Admin
from service.api.contract import Routes
from service.api.money_schemas import StrayObject
from service.api.pages import After, Limit, Page, decode, page_json, page_of
from service.api.problems import responses
from service.api.state import App, State
from service.domain.moment import iso
from service.domain.money import to_usd
from service.domain.stray import Kind
from service.store import strays
from service.store.tables import Stray

router = Routes("strays")


@router.get("/strays", response_model=Page[StrayObject], summary="List stray jobs", responses=responses(403, 422))
def list_strays(
    _caller: Admin,
    app: App,
    limit: Limit = 100,
    after: After = None,
    kind: Annotated[Kind | None, Query(description="Only those of one kind")] = None,
    team: Annotated[str | None, Query(max_length=100, description="Only those of one team's runs")] = None,
) -> Response:
    """Live jobs that no run accounts for, latest found first, each with what it cost and what stopping it saved."""
    with app.gate.db.read() as session:
        rows = strays.page(session, kind, team, decode(after), limit + 1)
    shown, has_more, following = page_of(rows, limit, lambda row: row.id)
    return JSONResponse(page_json([_json(app, row) for row in shown], has_more, following))


def _json(app: State, row: Stray) -> dict[str, Any]:
    price, cost = row.price_per_minute_micro_usd, row.cost_micro_usd
    return {
        "id": row.id,
        "kind": row.kind,
        "action": row.action,
        "namespace": row.namespace,
        "hub_job": {"id": row.hub_job_id, "url": app.gate.hub.job_url(row.namespace, row.hub_job_id)},
        "run_id": row.run_id,
        "team": row.team,
        "initiator": row.initiator,
        "flavor": row.flavor,
        "price_per_minute_usd": None if price is None else to_usd(price),
        "timeout_seconds": row.timeout_seconds,
        "minutes": row.minutes,
        "cost_usd": None if cost is None else to_usd(cost),
        "stopped_usd": to_usd(row.stopped_micro_usd),
        "started_at": None if row.started_at is None else iso(row.started_at),
        "ended_at": None if row.ended_at is None else iso(row.ended_at),
        "first_seen_at": iso(row.first_seen_at),
        "last_seen_at": iso(row.last_seen_at),
    }
