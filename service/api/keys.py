"""API keys of teams and of admins."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Annotated, Any

from fastapi import Body
from fastapi.responses import JSONResponse, Response
from sqlmodel import Session

from service.api import audited
from service.api.auth import Admin, Anybody, Caller, Lead, Viewer
from service.api.contract import Routes
from service.api.key_schemas import AdminKeyCreate, KeyCreate, KeyObject, KeyRotate, Me, NewKeyObject
from service.api.pages import After, Limit, Page, decode, page_json, page_of
from service.api.problems import responses
from service.api.state import App, State
from service.api.teams import open_team, visible_team
from service.domain.access import Role, Scope, beyond
from service.domain.errors import Conflict, Invalid, NotAllowed, NotFound
from service.domain.moment import iso, iso_or_none
from service.store import audit, keys, topics
from service.store.keys import Terms
from service.store.tables import ApiKey

router = Routes("keys")
AnyRotation = Annotated[KeyRotate, Body(default_factory=KeyRotate)]


@router.get("/me", response_model=Me, summary="Who am I", responses=responses())
def read_me(caller: Anybody) -> Response:
    """The user, team and role that a key, a token or a session stands for."""
    return JSONResponse(
        {
            "user": caller.name,
            "team": caller.team,
            "role": caller.role,
            "via": caller.via,
            "key_id": caller.key_id,
            "scopes": None if caller.scopes is None else sorted(caller.scopes),
        }
    )


@router.post(
    "/teams/{team}/keys",
    status_code=201,
    response_model=NewKeyObject,
    summary="Create an API key",
    responses=responses(403, 404, 409, 422),
)
def create_key(team: str, body: KeyCreate, caller: Lead, app: App) -> Response:
    """The answer holds the key, this once: only a hash of it is kept. It may do no more than the caller."""
    return _create(app, caller, team, body, Role(body.role))


@router.get(
    "/teams/{team}/keys", response_model=Page[KeyObject], summary="List API keys", responses=responses(403, 404, 422)
)
def list_keys(team: str, caller: Lead, app: App, limit: Limit = 50, after: After = None) -> Response:
    """Without their secrets, which are not kept; those that hold no more included, oldest first."""
    with app.gate.db.read() as session:
        visible_team(session, caller, team)
    return _list(app, team, limit, after)


@router.post(
    "/teams/{team}/keys/{key_id}/rotate",
    status_code=201,
    response_model=NewKeyObject,
    summary="Replace a key",
    responses=responses(403, 404, 409, 422),
)
def rotate_key(team: str, key_id: str, body: AnyRotation, caller: Viewer, app: App) -> Response:
    """A new key of the same user, role and scopes; the old one holds for `overlap_hours` still. Leads rotate their
    team's keys, everybody the key that the request is made with."""
    return _rotate(app, caller, team, key_id, body)


@router.delete("/teams/{team}/keys/{key_id}", status_code=204, summary="Revoke a key", responses=responses(403, 404))
def revoke_key(team: str, key_id: str, caller: Viewer, app: App) -> Response:
    """It is refused from now on, by every process. Leads revoke their team's keys, everybody the key that the request
    is made with."""
    return _revoke(app, caller, team, key_id)


@router.post(
    "/organisation/keys",
    status_code=201,
    response_model=NewKeyObject,
    summary="Create an admin's key",
    responses=responses(403, 409, 422),
)
def create_admin_key(body: AdminKeyCreate, caller: Admin, app: App) -> Response:
    """As for a team's, with the role `admin`: better than sharing the first admin's key."""
    return _create(app, caller, None, body, Role.ADMIN)


@router.get(
    "/organisation/keys", response_model=Page[KeyObject], summary="List admins' keys", responses=responses(403, 422)
)
def list_admin_keys(_caller: Admin, app: App, limit: Limit = 50, after: After = None) -> Response:
    """As for a team's."""
    return _list(app, None, limit, after)


@router.post(
    "/organisation/keys/{key_id}/rotate",
    status_code=201,
    response_model=NewKeyObject,
    summary="Replace an admin's key",
    responses=responses(403, 404, 409, 422),
)
def rotate_admin_key(key_id: str, body: AnyRotation, caller: Admin, app: App) -> Response:
    """As for a team's."""
    return _rotate(app, caller, None, key_id, body)


@router.delete(
    "/organisation/keys/{key_id}", status_code=204, summary="Revoke an admin's key", responses=responses(403, 404)
)
def revoke_admin_key(key_id: str, caller: Admin, app: App) -> Response:
    """As for a team's. The first admin's key is a setting, and is changed there."""
    return _revoke(app, caller, None, key_id)


def _create(app: State, caller: Caller, team: str | None, body: AdminKeyCreate, role: Role) -> Response:
    scopes = None if body.scopes is None else tuple(body.scopes)
    terms = Terms(body.name, body.user or _as_user(body.name), role, scopes, body.expires_at)
    _refuse_more(caller, terms.scopes)
    _refuse_past(terms.expires_at, app.now())
    return _made(app, caller, partial(_insert, caller=caller, team=team, terms=terms, now=app.now()))


def _made(app: State, caller: Caller, work: Any) -> Response:
    key, secret = audited.write(app, caller, work)
    return JSONResponse({**_json(key), "key": secret}, 201)


def _insert(session: Session, caller: Caller, team: str | None, terms: Terms, now: datetime) -> tuple[ApiKey, str]:
    if team is not None:
        open_team(session, caller, team)
    key, secret = keys.insert(session, team, terms, caller.name, now)
    audit.about(session, _path(key), **_told(key))
    return key, secret


def _rotate(app: State, caller: Caller, team: str | None, key_id: str, body: KeyRotate) -> Response:
    _refuse_past(body.expires_at, app.now())
    return _made(app, caller, partial(_replace, caller=caller, team=team, key_id=key_id, body=body, now=app.now()))


def _replace(
    session: Session, caller: Caller, team: str | None, key_id: str, body: KeyRotate, now: datetime
) -> tuple[ApiKey, str]:
    old = _found(session, caller, team, key_id)
    if (ended := keys.end_of(old, now)) is not None or old.replaced_by is not None:
        raise Conflict(f"the key {ended or 'was replaced already'}", remedy="POST makes a new one.")
    terms = keys.terms_of(old)
    _refuse_more(caller, terms.scopes, may_keep=caller.key_id == old.id)
    if body.expires_at is not None:
        _refuse_longer(caller, terms.expires_at, body.expires_at)
        terms = Terms(terms.name, terms.user, terms.role, terms.scopes, body.expires_at)
    key, secret = keys.insert(session, team, terms, caller.name, now)
    last = now + timedelta(hours=body.overlap_hours)
    old.replaced_by = key.id
    old.expires_at = last if old.expires_at is None else min(old.expires_at, last)
    session.add(old)
    topics.tell(session, topics.entry(team))
    audit.about(session, _path(old), **_told(key), replaced_by=key.id)
    return key, secret


def _revoke(app: State, caller: Caller, team: str | None, key_id: str) -> Response:
    def work(session: Session) -> None:
        keys.revoke(session, _found(session, caller, team, key_id), caller.name, app.now())

    audited.write(app, caller, work)
    return Response(status_code=204)


def _found(session: Session, caller: Caller, team: str | None, key_id: str) -> ApiKey:
    """A key that is the caller's to change: of their team, for leads; else the one that they hold."""
    sees = caller.sees(team) and (caller.reaches(Role.LEAD) or caller.key_id == key_id)
    key = keys.lock(session, team, key_id) if sees else None
    if key is None:
        raise NotFound(f"there is no key '{key_id}'" + ("" if team is None else f" of a team '{team}'"))
    return key


def _list(app: State, team: str | None, limit: int, after: str | None) -> Response:
    with app.gate.db.read() as session:
        rows = keys.page(session, team, decode(after), limit + 1)
    shown, has_more, following = page_of(rows, limit, lambda key: key.id)
    return JSONResponse(page_json([_json(key) for key in shown], has_more, following))


def _refuse_more(caller: Caller, scopes: tuple[str, ...] | None, may_keep: bool = False) -> None:
    """A key must not be a way to more than its maker may do."""
    if not may_keep and (more := beyond(caller.may, caller.role, scopes)):
        raise NotAllowed(
            f"a key with the scope '{more[0]}' may do more than the one that makes it",
            remedy="Name scopes that your own key has, or ask an admin.",
        )


def _refuse_longer(caller: Caller, until: datetime | None, asked: datetime) -> None:
    """Whoever gave a key an end must be able to count on it."""
    if until is not None and asked > until and not caller.reaches(Role.LEAD):
        raise NotAllowed(
            f"the key ends at {iso(until)}, and a lead decides whether it lasts longer",
            field="expires_at",
            remedy="Leave it out, or ask a lead of the team.",
        )


def _refuse_past(expires_at: datetime | None, now: datetime) -> None:
    if expires_at is not None and expires_at <= now:
        raise Invalid("the key would have expired already", field="expires_at", remedy="Name a time to come.")


def _as_user(name: str) -> str:
    if "/" in name:
        raise Invalid("the key's name is no name of a user", field="user", remedy="Say whose key it is in 'user'.")
    return name


def _path(key: ApiKey) -> str:
    return f"/organisation/keys/{key.id}" if key.team is None else f"/teams/{key.team}/keys/{key.id}"


def _told(key: ApiKey) -> dict[str, Any]:
    return {"user": key.user, "role": key.role, "scopes": key.scopes}


def _json(key: ApiKey) -> dict[str, Any]:
    moments = ("created_at", "last_used_at", "expires_at", "revoked_at")
    told = {name: iso_or_none(getattr(key, name)) for name in moments}
    names = ("id", "team", "user", "name", "role", "created_by", "revoked_by", "replaced_by")
    scopes = None if key.scopes is None else [Scope(one).value for one in key.scopes]
    return {**{name: getattr(key, name) for name in names}, **told, "scopes": scopes}
