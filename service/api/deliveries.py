"""An endpoint's delivery log, sending anew, and a test."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import Query
from fastapi.responses import JSONResponse, Response
from sqlmodel import Session, col

from service.api import audited
from service.api.auth import Caller, Lead
from service.api.contract import Routes
from service.api.pages import After, Limit, Page, decode, page_json, page_of
from service.api.problems import responses
from service.api.state import App, State
from service.api.webhook_schemas import DeliveryObject, RedeliveredObject, RedeliverSince
from service.api.webhooks import held_endpoint, visible_endpoint
from service.domain.errors import Conflict, NotFound
from service.domain.moment import iso, iso_or_none
from service.flow.letter import shown_request
from service.flow.ping import ping
from service.store import deliveries
from service.store.tables import Delivery, Endpoint, Event

router = Routes("webhooks")
HELD = "an earlier event of the same subject has not been delivered yet"
MOST_IN_LISTS = 1024
DeliveryState = Literal["pending", "delivered", "failed"]
Row = tuple[Delivery, Event, bool]


@router.get(
    "/webhooks/{endpoint_id}/deliveries",
    response_model=Page[DeliveryObject],
    summary="An endpoint's delivery log",
    responses=responses(403, 404, 422),
)
def list_deliveries(
    endpoint_id: str,
    caller: Lead,
    app: App,
    state: Annotated[DeliveryState | None, Query(description="Only those")] = None,
    limit: Limit = 50,
    after: After = None,
) -> Response:
    """Newest first: what was sent, how often it was tried, what came back. Kept for 30 days."""
    with app.gate.db.read() as session:
        endpoint = visible_endpoint(session, caller, endpoint_id)
        rows = deliveries.page(session, endpoint_id, state, decode(after), limit + 1, app.now())
    shown, has_more, following = page_of(rows, limit, lambda row: row[0].id)
    data = [_delivery_json(app, endpoint, row, MOST_IN_LISTS) for row in shown]
    return JSONResponse(page_json(data, has_more, following))


@router.get(
    "/webhooks/{endpoint_id}/deliveries/{delivery_id}",
    response_model=DeliveryObject,
    summary="Read a delivery",
    responses=responses(403, 404),
)
def read_delivery(endpoint_id: str, delivery_id: str, caller: Lead, app: App) -> Response:
    """With the whole body that was sent, or will be."""
    with app.gate.db.read() as session:
        return JSONResponse(_found(session, app, visible_endpoint(session, caller, endpoint_id), delivery_id))


@router.post(
    "/webhooks/{endpoint_id}/deliveries/{delivery_id}/redeliver",
    status_code=202,
    response_model=DeliveryObject,
    summary="Send a delivery again",
    responses=responses(403, 404, 409),
)
def redeliver(endpoint_id: str, delivery_id: str, caller: Lead, app: App) -> Response:
    """Whatever became of it, with the same `webhook-id`, and tried again as a new one would be."""

    def work(session: Session) -> dict[str, Any]:
        endpoint = _enabled(session, caller, endpoint_id)
        _found(session, app, endpoint, delivery_id)
        deliveries.again(session, col(Delivery.id) == delivery_id, app.now())
        session.expire_all()
        return _found(session, app, endpoint, delivery_id)

    return _accepted(app, caller, work)


@router.post(
    "/webhooks/{endpoint_id}/redeliver",
    status_code=202,
    response_model=RedeliveredObject,
    summary="Send again what did not arrive since a time",
    responses=responses(403, 404, 409, 422),
)
def redeliver_since(endpoint_id: str, body: RedeliverSince, caller: Lead, app: App) -> Response:
    """What is still to come or was given up, and what happened while the endpoint was disabled; with
    `include_delivered` everything. In order per run, each with the `webhook-id` that it had."""

    def work(session: Session) -> dict[str, Any]:
        endpoint = _enabled(session, caller, endpoint_id)
        count = deliveries.again_since(session, endpoint, body.since, app.now(), delivered=body.include_delivered)
        made, has_more = deliveries.make_missed(session, endpoint, body.since, app.now())
        return {"deliveries": count + made, "has_more": has_more}

    return _accepted(app, caller, work)


@router.post(
    "/webhooks/{endpoint_id}/test",
    response_model=DeliveryObject,
    summary="Send a test event",
    responses=responses(403, 404),
)
async def test_endpoint(endpoint_id: str, caller: Lead, app: App) -> Response:
    """A `webhook.test` at once, to this endpoint alone, also to one that is disabled; the answer says what came back.
    It belongs to no run, and one that fails is not tried again."""
    delivery_id = await ping(app.gate, partial(held_endpoint, caller=caller, endpoint_id=endpoint_id))
    with app.gate.db.read() as session:
        return JSONResponse(_found(session, app, visible_endpoint(session, caller, endpoint_id), delivery_id))


def _enabled(session: Session, caller: Caller, endpoint_id: str) -> Endpoint:
    endpoint = held_endpoint(session, caller, endpoint_id)
    if endpoint.disabled_at is not None:
        raise Conflict(
            f"the endpoint is disabled: {endpoint.disabled_because}",
            remedy='PATCH it with "enabled": true first.',
        )
    endpoint.resting_until = None  # whoever asks now does not want to wait
    session.add(endpoint)
    return endpoint


def _accepted(app: State, caller: Caller, work: Callable[[Session], dict[str, Any]]) -> Response:
    answer = audited.write(app, caller, work, wakes=("notify",))
    return JSONResponse(answer, 202)


def _found(session: Session, app: State, endpoint: Endpoint, delivery_id: str) -> dict[str, Any]:
    row = deliveries.find(session, endpoint.id, delivery_id, app.now())
    if row is None:
        raise NotFound(f"the endpoint has no delivery '{delivery_id}'")
    return _delivery_json(app, endpoint, row)


def _delivery_json(app: State, endpoint: Endpoint, row: Row, most: int | None = None) -> dict[str, Any]:
    delivery, event, is_held = row
    request = shown_request(endpoint, event, delivery.last_tried_at, app.gate.public_url)
    if most is not None and len(request["body"]) > most:
        request["body"] = request["body"][:most] + "…"
    return {
        "id": delivery.id,
        "event_id": delivery.event_id,
        "event_type": event.type,
        "subject": delivery.subject,
        "sequence": delivery.sequence,
        "state": delivery.state,
        "tries": delivery.tries,
        "next_try_at": iso_or_none(delivery.next_try_at)
        if delivery.state == "pending" and not endpoint.disabled_at
        else None,
        "created_at": iso(delivery.created_at),
        "last_tried_at": iso_or_none(delivery.last_tried_at),
        "delivered_at": iso_or_none(delivery.delivered_at),
        "status": delivery.last_status,
        "error": HELD if is_held else delivery.last_error,
        "response": delivery.last_response,
        "latency_ms": delivery.last_latency_ms,
        "request": request,
    }
