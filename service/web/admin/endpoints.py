"""`/ui/admin/endpoints`: who is told of what, and what became of each message."""

from __future__ import annotations

import asyncio
from urllib.parse import urlencode

from fastapi import APIRouter
from fastapi.responses import Response

from service.domain.endpoint import Kind
from service.domain.event_pattern import FOR_PEOPLE, FOR_PROGRAMS, EventPattern
from service.web.pages import Looking

router = APIRouter(include_in_schema=False)
PATH = "/ui/admin/endpoints"
MOST = 200
PAGE = 30
STATES = ("pending", "delivered", "failed")
EVENTS: tuple[str, ...] = EventPattern.__args__  # type: ignore[attr-defined]


@router.get(PATH)
async def endpoints(visit: Looking, after: str = "") -> Response:
    """All that the caller sees, newest first, and a form for one more."""
    found, teams = await asyncio.gather(
        visit.api.get("/webhooks", limit=MOST, after=after or None), visit.api.get("/teams")
    )
    return visit.show(
        "admin/endpoints.html",
        endpoints=found["data"],
        following=f"{PATH}?{urlencode({'after': found['next']})}" if found["has_more"] else None,
        teams=[one["name"] for one in teams["data"]],
        kinds=[one.value for one in Kind],
        events=EVENTS,
        usual={"programs": FOR_PROGRAMS, "people": FOR_PEOPLE},
    )


@router.get(PATH + "/{endpoint_id}")
async def endpoint(visit: Looking, endpoint_id: str, state: str = "", after: str = "") -> Response:
    """One of them with its deliveries, newest first."""
    found, deliveries = await asyncio.gather(
        visit.api.get(f"/webhooks/{endpoint_id}"),
        visit.api.get(f"/webhooks/{endpoint_id}/deliveries", state=state or None, after=after or None, limit=PAGE),
    )
    kept = {"state": state, "after": deliveries["next"]}
    return visit.show(
        "admin/endpoint.html",
        endpoint=found,
        deliveries=deliveries["data"],
        following=f"?{urlencode(kept)}" if deliveries["has_more"] else None,
        state=state,
        states=STATES,
        events=EVENTS,
    )


@router.get(PATH + "/{endpoint_id}/deliveries/{delivery_id}")
async def delivery(visit: Looking, endpoint_id: str, delivery_id: str) -> Response:
    """One message: all that was sent, and what came back."""
    found, sent = await asyncio.gather(
        visit.api.get(f"/webhooks/{endpoint_id}"),
        visit.api.get(f"/webhooks/{endpoint_id}/deliveries/{delivery_id}"),
    )
    return visit.show("admin/delivery.html", endpoint=found, delivery=sent)
