"""Teams and their keys."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response
from sqlmodel import Session

from service.api.auth import Admin, Caller, Lead, Viewer
from service.api.pages import Page, page_json
from service.api.problems import responses
from service.api.state import App
from service.api.team_schemas import (
    KeyCreate,
    KeyObject,
    NewKeyObject,
    TeamCreate,
    TeamObject,
)
from service.domain.errors import Conflict, Invalid, NotFound
from service.domain.moment import iso
from service.store import teams
from service.store.budgets import ORGANISATION
from service.store.tables import ApiKey, Team

router = APIRouter(tags=["teams"])


@router.post(
    "/teams", status_code=201, response_model=TeamObject, summary="Create a team", responses=responses(403, 409, 422)
)
def create_team(body: TeamCreate, _caller: Admin, app: App) -> Response:
    """A team has no money until a budget is granted: PUT /teams/{team}/budget."""
    if body.name == ORGANISATION:
        raise Invalid(
            f"'{ORGANISATION}' is what all teams together are called", field="name", remedy="Choose another name."
        )
    team = app.gate.db.write(partial(teams.insert, name=body.name, now=app.now()))
    if team is None:
        raise Conflict(f"there is a team '{body.name}' already", field="name")
    return JSONResponse(team_json(team), 201, headers={"Location": f"/teams/{team.name}"})


@router.get("/teams", response_model=Page[TeamObject], summary="List teams", responses=responses())
def list_teams(caller: Viewer, app: App) -> Response:
    """All teams for admins, the own one for others."""
    with app.gate.db.read() as session:
        data = [team_json(team) for team in teams.every(session) if caller.sees(team.name)]
    return JSONResponse(page_json(data, False, None))


@router.get("/teams/{team}", response_model=TeamObject, summary="Read a team", responses=responses(404))
def read_team(team: str, caller: Viewer, app: App) -> Response:
    """One team."""
    with app.gate.db.read() as session:
        return JSONResponse(team_json(visible_team(session, caller, team)))


@router.post(
    "/teams/{team}/keys",
    status_code=201,
    response_model=NewKeyObject,
    summary="Create an API key",
    responses=responses(403, 404, 422),
)
def create_key(team: str, body: KeyCreate, caller: Lead, app: App) -> Response:
    """The answer holds the key, this once: only a hash of it is kept."""
    key, secret = app.gate.db.write(partial(_insert_key, caller=caller, team=team, body=body, now=app.now()))
    return JSONResponse({**_key_json(key), "key": secret}, 201)


@router.get(
    "/teams/{team}/keys", response_model=Page[KeyObject], summary="List API keys", responses=responses(403, 404)
)
def list_keys(team: str, caller: Lead, app: App) -> Response:
    """Without their secrets, which are not kept."""
    with app.gate.db.read() as session:
        visible_team(session, caller, team)
        data = [_key_json(key) for key in teams.keys_of(session, team)]
    return JSONResponse(page_json(data, False, None))


@router.delete("/teams/{team}/keys/{key_id}", status_code=204, summary="Revoke a key", responses=responses(403, 404))
def revoke_key(team: str, key_id: str, caller: Lead, app: App) -> Response:
    """It is refused from now on."""
    if not caller.sees(team) or not app.gate.db.write(
        partial(teams.revoke_key, team=team, key_id=key_id, now=app.now())
    ):
        raise NotFound(f"there is no key '{key_id}' of a team '{team}'")
    return Response(status_code=204)


def visible_team(session: Session, caller: Caller, name: str) -> Team:
    """A team that the caller sees; raises NotFound for any other."""
    team = teams.get(session, name)
    if team is None or not caller.sees(name):
        raise NotFound(f"there is no team '{name}'")
    return team


def held_team(session: Session, caller: Caller, name: str) -> Team:
    """The same, held for a change."""
    visible_team(session, caller, name)
    team = teams.lock(session, name)
    assert team is not None
    return team


def _insert_key(session: Session, caller: Caller, team: str, body: KeyCreate, now: datetime) -> tuple[ApiKey, str]:
    visible_team(session, caller, team)
    return teams.insert_key(session, team, body.name, body.role, now)


def team_json(team: Team) -> dict[str, Any]:
    """A team on the wire."""
    return {
        "name": team.name,
        "max_concurrent_runs": team.max_concurrent_runs,
        "max_concurrent_runs_per_user": team.max_concurrent_runs_per_user,
        "paused": team.paused_at is not None,
        "paused_by": team.paused_by,
        "weight": team.weight,
        "time_zone": team.time_zone,
        "created_at": iso(team.created_at),
    }


def _key_json(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "team": key.team,
        "name": key.name,
        "role": key.role,
        "created_at": iso(key.created_at),
        "revoked_at": None if key.revoked_at is None else iso(key.revoked_at),
    }
