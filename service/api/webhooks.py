"""Webhook endpoints and their delivery log."""

from __future__ import annotations

import base64
import secrets
from datetime import datetime
from functools import partial
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response
from sqlmodel import Session

from service.api import audited
from service.api.auth import Caller, Lead
from service.api.pages import After, Limit, Page, decode, page_json, page_of
from service.api.problems import responses
from service.api.schemas import DeliveryObject, EndpointCreate, EndpointObject, NewEndpointObject
from service.api.state import App, State
from service.domain.errors import Invalid, NotFound
from service.domain.moment import iso
from service.domain.target import url_refusal
from service.store import audit, teams, webhooks
from service.store.ids import new_id
from service.store.tables import Delivery, Endpoint, Event

router = APIRouter(tags=["webhooks"])
HELD = "an earlier event of the same subject has not been delivered yet"


@router.post(
    "/webhooks",
    status_code=201,
    response_model=NewEndpointObject,
    summary="Register an endpoint",
    responses=responses(403, 404, 422),
)
def create_endpoint(body: EndpointCreate, caller: Lead, app: App) -> Response:
    """Signed per Standard Webhooks with the `secret` of this answer, which is shown this once."""
    allowed = app.gate.limits.webhook_allowed_targets
    if (refusal := url_refusal(body.url, allowed)) is not None:
        raise Invalid(
            refusal,
            field="url",
            remedy="Use a public https address, or TUNEGATE_WEBHOOK_ALLOWED_TARGETS names this one.",
        )
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    work = partial(_insert, app=app, caller=caller, body=body, secret=secret, now=app.now())
    endpoint = audited.write(app, caller, work)
    return JSONResponse(
        {**_endpoint_json(endpoint), "secret": secret}, 201, headers={"Location": f"/webhooks/{endpoint.id}"}
    )


@router.get("/webhooks", response_model=Page[EndpointObject], summary="List endpoints", responses=responses(403, 422))
def list_endpoints(caller: Lead, app: App, limit: Limit = 50, after: After = None) -> Response:
    """The team's endpoints, newest first; all teams' for admins."""
    with app.gate.db.read() as session:
        rows = webhooks.page(session, caller.team, decode(after), limit + 1)
    shown, has_more, following = page_of(rows, limit, lambda endpoint: endpoint.id)
    return JSONResponse(page_json([_endpoint_json(endpoint) for endpoint in shown], has_more, following))


@router.get(
    "/webhooks/{endpoint_id}", response_model=EndpointObject, summary="Read an endpoint", responses=responses(403, 404)
)
def read_endpoint(endpoint_id: str, caller: Lead, app: App) -> Response:
    """Without its secret."""
    with app.gate.db.read() as session:
        return JSONResponse(_endpoint_json(_visible(session, caller, endpoint_id)))


@router.delete("/webhooks/{endpoint_id}", status_code=204, summary="Remove an endpoint", responses=responses(403, 404))
def delete_endpoint(endpoint_id: str, caller: Lead, app: App) -> Response:
    """Nothing more is sent to it; its delivery log goes with it."""
    audited.write(app, caller, partial(_delete, caller=caller, endpoint_id=endpoint_id))
    return Response(status_code=204)


@router.get(
    "/webhooks/{endpoint_id}/deliveries",
    response_model=Page[DeliveryObject],
    summary="An endpoint's delivery log",
    responses=responses(403, 404, 422),
)
def list_deliveries(endpoint_id: str, caller: Lead, app: App, limit: Limit = 50, after: After = None) -> Response:
    """Newest first: what was sent, how often it was tried, what came back."""
    with app.gate.db.read() as session:
        _visible(session, caller, endpoint_id)
        rows = webhooks.deliveries(session, endpoint_id, decode(after), limit + 1, app.now())
    shown, has_more, following = page_of(rows, limit, lambda row: row[0].id)
    return JSONResponse(page_json([_delivery_json(*row) for row in shown], has_more, following))


def _visible(session: Session, caller: Caller, endpoint_id: str) -> Endpoint:
    endpoint = webhooks.get(session, endpoint_id)
    if endpoint is None or not caller.sees(endpoint.team):
        raise NotFound(f"there is no endpoint '{endpoint_id}'")
    return endpoint


def _insert(session: Session, app: State, caller: Caller, body: EndpointCreate, secret: str, now: datetime) -> Endpoint:
    team = body.team if caller.team is None else caller.team_or(body.team)
    if team is not None and teams.get(session, team) is None:
        raise NotFound(f"there is no team '{team}'", field="team")
    endpoint = Endpoint(
        id=new_id("ep", now),
        team=team,
        url=body.url,
        events=list(body.events),
        sealed_secret=app.gate.vault.seal({"secret": secret}),
        created_at=now,
    )
    session.add(endpoint)
    session.flush()
    audit.about(session, f"/webhooks/{endpoint.id}", team)
    return endpoint


def _delete(session: Session, caller: Caller, endpoint_id: str) -> None:
    webhooks.delete(session, _visible(session, caller, endpoint_id))


def _endpoint_json(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "id": endpoint.id,
        "team": endpoint.team,
        "url": endpoint.url,
        "events": endpoint.events,
        "created_at": iso(endpoint.created_at),
        "disabled_at": None if endpoint.disabled_at is None else iso(endpoint.disabled_at),
    }


def _delivery_json(delivery: Delivery, event: Event, is_held: bool) -> dict[str, Any]:
    return {
        "id": delivery.id,
        "event_id": delivery.event_id,
        "event_type": event.type,
        "subject": delivery.subject,
        "sequence": delivery.sequence,
        "state": delivery.state,
        "tries": delivery.tries,
        "next_try_at": iso(delivery.next_try_at) if delivery.state == "pending" else None,
        "created_at": iso(delivery.created_at),
        "delivered_at": None if delivery.delivered_at is None else iso(delivery.delivered_at),
        "status": delivery.last_status,
        "error": HELD if is_held else delivery.last_error,
        "response": delivery.last_response,
        "latency_ms": delivery.last_latency_ms,
    }
