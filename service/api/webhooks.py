"""Webhook endpoints."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated, Any

from cryptography.fernet import InvalidToken
from fastapi import Body, Query
from fastapi.responses import JSONResponse, Response
from sqlmodel import Session

from service.api import audited
from service.api.auth import Caller, Lead
from service.api.contract import Routes
from service.api.pages import After, Limit, Page, decode, page_json, page_of
from service.api.problems import responses
from service.api.runs import held
from service.api.state import App, State
from service.api.webhook_schemas import EndpointCreate, EndpointObject, EndpointPatch, NewEndpointObject, SecretRotate
from service.domain.endpoint import PREFIX, Kind, concerns_runs, endpoint_refusal, shown
from service.domain.errors import Conflict, Invalid, NotFound
from service.domain.moment import iso, iso_or_none
from service.domain.run import RunState, how_it_ended
from service.store import audit, teams, webhooks
from service.store.sealed_address import Address, seal, unseal
from service.store.tables import Endpoint

router = Routes("webhooks")


@router.post(
    "/webhooks",
    status_code=201,
    response_model=NewEndpointObject,
    summary="Register an endpoint",
    responses=responses(403, 404, 409, 422),
)
def create_endpoint(body: EndpointCreate, caller: Lead, app: App) -> Response:
    """Told of a team's events, or with `run_id` of one run's. `standard` is signed per Standard Webhooks with the
    `secret` of this answer, which is shown this once; `slack`, `discord`, `teams` and `email` get short messages."""
    _refuse_target(app, body.kind, body.url)
    secret = (body.secret or _new_secret()) if body.kind.is_signed else None
    work = partial(_insert, app=app, caller=caller, body=body, secret=secret, now=app.now())
    endpoint = audited.write(app, caller, work)
    answer = {**_endpoint_json(endpoint), "secret": secret}
    return JSONResponse(answer, 201, headers={"Location": f"/webhooks/{endpoint.id}"})


@router.get("/webhooks", response_model=Page[EndpointObject], summary="List endpoints", responses=responses(403, 422))
def list_endpoints(
    caller: Lead,
    app: App,
    run_id: Annotated[str | None, Query(max_length=64, description="Those of this run alone")] = None,
    limit: Limit = 50,
    after: After = None,
) -> Response:
    """The team's endpoints, newest first; all teams' for admins."""
    with app.gate.db.read() as session:
        rows = webhooks.page(session, caller.team, run_id, decode(after), limit + 1)
    shown_rows, has_more, following = page_of(rows, limit, lambda endpoint: endpoint.id)
    return JSONResponse(page_json([_endpoint_json(endpoint) for endpoint in shown_rows], has_more, following))


@router.get(
    "/webhooks/{endpoint_id}", response_model=EndpointObject, summary="Read an endpoint", responses=responses(403, 404)
)
def read_endpoint(endpoint_id: str, caller: Lead, app: App) -> Response:
    """Without its secret."""
    with app.gate.db.read() as session:
        return JSONResponse(_endpoint_json(visible_endpoint(session, caller, endpoint_id)))


@router.patch(
    "/webhooks/{endpoint_id}",
    response_model=EndpointObject,
    summary="Change an endpoint",
    responses=responses(403, 404, 422),
)
def patch_endpoint(endpoint_id: str, body: EndpointPatch, caller: Lead, app: App) -> Response:
    """What was not delivered yet goes to the new address. `"enabled": true` begins anew: what waits is sent at once;
    what happened while it was disabled comes with `/redeliver`."""
    return _change(app, caller, endpoint_id, partial(_patch, app=app, body=body, by=caller.name, now=app.now()))


@router.post(
    "/webhooks/{endpoint_id}/rotate-secret",
    response_model=NewEndpointObject,
    summary="Replace the signing secret",
    responses=responses(403, 404, 409, 422),
)
def rotate_secret(
    endpoint_id: str, body: Annotated[SecretRotate, Body(default_factory=SecretRotate)], caller: Lead, app: App
) -> Response:
    """The new one is shown this once. For `overlap_hours` both sign: until then the receiver can change over."""
    secret = _new_secret()

    def rotate(_session: Session, endpoint: Endpoint) -> None:
        _rotate(endpoint, app, secret, app.now(), timedelta(hours=body.overlap_hours))

    return _change(app, caller, endpoint_id, rotate, secret=secret)


@router.delete("/webhooks/{endpoint_id}", status_code=204, summary="Remove an endpoint", responses=responses(403, 404))
def delete_endpoint(endpoint_id: str, caller: Lead, app: App) -> Response:
    """Nothing more is sent to it; its delivery log goes with it."""

    def delete(session: Session) -> None:
        webhooks.remove(session, held_endpoint(session, caller, endpoint_id))

    audited.write(app, caller, delete)
    return Response(status_code=204)


def visible_endpoint(session: Session, caller: Caller, endpoint_id: str) -> Endpoint:
    """An endpoint that the caller sees; raises NotFound for any other."""
    endpoint = webhooks.get(session, endpoint_id)
    if endpoint is None or not caller.sees(endpoint.team):
        raise NotFound(f"there is no endpoint '{endpoint_id}'")
    return endpoint


def held_endpoint(session: Session, caller: Caller, endpoint_id: str) -> Endpoint:
    """An endpoint that the caller sees, held for a change; raises NotFound."""
    visible_endpoint(session, caller, endpoint_id)
    endpoint = webhooks.lock(session, endpoint_id)
    if endpoint is None:
        raise NotFound(f"there is no endpoint '{endpoint_id}'")
    return endpoint


def _new_secret() -> str:
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def _refuse_target(app: State, kind: Kind, url: str) -> None:
    limits = app.gate.limits
    if (found := endpoint_refusal(kind, url, limits.webhook_allowed_targets, limits.mail is not None)) is not None:
        raise Invalid(found[0], field="url", remedy=found[1])


def _change(
    app: State, caller: Caller, endpoint_id: str, change: Callable[[Session, Endpoint], None], **more: Any
) -> Response:
    def work(session: Session) -> dict[str, Any]:
        endpoint = held_endpoint(session, caller, endpoint_id)
        change(session, endpoint)
        session.add(endpoint)
        session.flush()
        return _endpoint_json(endpoint)

    answer = audited.write(app, caller, work, wakes=("notify",))
    return JSONResponse({**answer, **more})


def _insert(
    session: Session, app: State, caller: Caller, body: EndpointCreate, secret: str | None, now: datetime
) -> Endpoint:
    if body.run_id is not None:
        run = held(session, caller, body.run_id)
        if RunState(run.state).is_terminal:
            raise Conflict(f"the run {how_it_ended(run.state)} already: there is nothing more to tell of it")
        if body.team not in (None, run.team):
            raise Invalid(f"the run is of the team '{run.team}'", field="team", remedy="Leave it out.")
        team: str | None = run.team
    else:
        team = body.team if caller.team is None else caller.team_or(body.team)
        if team is not None and teams.get(session, team) is None:
            raise NotFound(f"there is no team '{team}'", field="team")
    endpoint = webhooks.insert(
        session,
        body,
        secret,
        app.gate.vault,
        now,
        team=team,
        run_id=body.run_id,
        description=body.description,
    )
    audit.about(session, f"/webhooks/{endpoint.id}", team)
    return endpoint


def _patch(session: Session, endpoint: Endpoint, app: State, body: EndpointPatch, by: str, now: datetime) -> None:
    sent = body.model_dump(exclude_unset=True)
    if body.url is not None:
        kind = Kind(endpoint.kind)
        _refuse_target(app, kind, body.url)
        address = _address(app, endpoint)
        endpoint.sealed_address = seal(app.gate.vault, Address(body.url, address.secret, address.earlier))
        endpoint.url = shown(kind, body.url)
        endpoint.resting_until = None
    if body.events is not None:
        if endpoint.run_id is not None and (other := [one for one in body.events if not concerns_runs(one)]):
            raise Invalid(
                f"an endpoint of one run is never told of '{other[0]}'", field="events", remedy="Leave it out."
            )
        endpoint.events = [*body.events]
    if "description" in sent:
        endpoint.description = body.description
    if body.enabled is True and endpoint.disabled_at is not None:
        webhooks.enable(session, endpoint, now)
    elif body.enabled is False and endpoint.disabled_at is None:
        webhooks.hold(session, endpoint, f"disabled by {by}", now)


def _rotate(endpoint: Endpoint, app: State, secret: str, now: datetime, overlap: timedelta) -> None:
    if not Kind(endpoint.kind).is_signed:
        raise Conflict(f"what is sent to '{endpoint.kind}' is not signed: there is no secret to rotate")
    try:
        address = unseal(app.gate.vault, endpoint.sealed_address).rotated(secret, now + overlap, now)
    except InvalidToken:  # the service has another key by now: what was sealed is lost, the address is known
        address = Address(endpoint.url, secret)
    endpoint.sealed_address = seal(app.gate.vault, address)
    endpoint.rotated_until = max((one.until for one in address.earlier), default=None)


def _address(app: State, endpoint: Endpoint) -> Address:
    try:
        return unseal(app.gate.vault, endpoint.sealed_address)
    except InvalidToken:
        raise Conflict(
            "the endpoint's secret is sealed under another key than the service's",
            remedy="POST /webhooks/{id}/rotate-secret gives a new one, or make the endpoint anew.",
        ) from None


def _endpoint_json(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "id": endpoint.id,
        "team": endpoint.team,
        "run_id": endpoint.run_id,
        "kind": endpoint.kind,
        "url": endpoint.url,
        "description": endpoint.description,
        "events": endpoint.events,
        "created_at": iso(endpoint.created_at),
        "rotated_until": iso_or_none(endpoint.rotated_until),
        "failing_since": iso_or_none(endpoint.failing_since),
        "disabled_at": iso_or_none(endpoint.disabled_at),
        "disabled_because": endpoint.disabled_because,
    }
