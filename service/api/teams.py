"""Teams with their keys, limits and budget."""

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
from service.api.schemas import (
    BudgetObject,
    BudgetPut,
    KeyCreate,
    KeyObject,
    LimitsObject,
    LimitsPut,
    NewKeyObject,
    TeamCreate,
    TeamObject,
)
from service.api.state import App
from service.domain.errors import Conflict, NotFound
from service.domain.money import to_micro_usd, to_usd
from service.store import ledger, teams
from service.store.describe import iso
from service.store.tables import ApiKey, Budget, Team

router = APIRouter(tags=["teams"])


@router.post(
    "/teams", status_code=201, response_model=TeamObject, summary="Create a team", responses=responses(403, 409, 422)
)
def create_team(body: TeamCreate, _caller: Admin, app: App) -> Response:
    """A team has no money until a budget is granted: PUT /teams/{team}/budget."""
    team = app.gate.db.write(partial(teams.insert, name=body.name, now=app.now()))
    if team is None:
        raise Conflict(f"there is a team '{body.name}' already", field="name")
    return JSONResponse(_team_json(team), 201, headers={"Location": f"/teams/{team.name}"})


@router.get("/teams", response_model=Page[TeamObject], summary="List teams", responses=responses())
def list_teams(caller: Viewer, app: App) -> Response:
    """All teams for admins, the own one for others."""
    with app.gate.db.read() as session:
        data = [_team_json(team) for team in teams.every(session) if caller.sees(team.name)]
    return JSONResponse(page_json(data, False, None))


@router.get("/teams/{team}", response_model=TeamObject, summary="Read a team", responses=responses(404))
def read_team(team: str, caller: Viewer, app: App) -> Response:
    """One team."""
    with app.gate.db.read() as session:
        return JSONResponse(_team_json(_visible(session, caller, team)))


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
        _visible(session, caller, team)
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


@router.get("/teams/{team}/limits", response_model=LimitsObject, summary="Read limits", responses=responses(404))
def read_limits(team: str, caller: Viewer, app: App) -> Response:
    """How many runs of the team may be active."""
    with app.gate.db.read() as session:
        return JSONResponse({"max_concurrent_runs": _visible(session, caller, team).max_concurrent_runs})


@router.put(
    "/teams/{team}/limits", response_model=LimitsObject, summary="Set limits", responses=responses(403, 404, 422)
)
def put_limits(team: str, body: LimitsPut, caller: Lead, app: App) -> Response:
    """Running jobs are left alone; the limit counts for what starts from now on."""
    app.gate.db.write(partial(_set_limits, caller=caller, team=team, body=body))
    app.wake("admit")
    return JSONResponse({"max_concurrent_runs": body.max_concurrent_runs})


@router.get(
    "/teams/{team}/budget", response_model=BudgetObject, summary="Read the monthly budget", responses=responses(404)
)
def read_budget(team: str, caller: Viewer, app: App) -> Response:
    """How the present month stands."""
    with app.gate.db.read() as session:
        return JSONResponse(_budget_json(session, caller, team, app.now()))


@router.put(
    "/teams/{team}/budget",
    response_model=BudgetObject,
    summary="Grant the monthly budget",
    responses=responses(403, 404, 422),
)
def put_budget(team: str, body: BudgetPut, caller: Admin, app: App) -> Response:
    """Nothing is killed by a lower limit; it stops admissions until the window has room again."""
    answer = app.gate.db.write(partial(_set_budget, caller=caller, team=team, body=body, now=app.now()))
    app.wake("admit")
    return JSONResponse(answer)


def _visible(session: Session, caller: Caller, name: str) -> Team:
    team = teams.get(session, name)
    if team is None or not caller.sees(name):
        raise NotFound(f"there is no team '{name}'")
    return team


def _insert_key(session: Session, caller: Caller, team: str, body: KeyCreate, now: datetime) -> tuple[ApiKey, str]:
    _visible(session, caller, team)
    return teams.insert_key(session, team, body.name, body.role, now)


def _set_limits(session: Session, caller: Caller, team: str, body: LimitsPut) -> None:
    teams.set_limits(session, _visible(session, caller, team), body.max_concurrent_runs)


def _set_budget(session: Session, caller: Caller, team: str, body: BudgetPut, now: datetime) -> dict[str, Any]:
    _visible(session, caller, team)
    return _window_json(session, teams.set_month_budget(session, team, to_micro_usd(body.limit_usd), now), now)


def _budget_json(session: Session, caller: Caller, team: str, now: datetime) -> dict[str, Any]:
    _visible(session, caller, team)
    budget = ledger.budget_of(session, team)
    if budget is None:
        raise NotFound(f"team '{team}' has no budget: its runs wait", remedy=f"An admin PUTs /teams/{team}/budget.")
    return _window_json(session, budget, now)


def _window_json(session: Session, budget: Budget, now: datetime) -> dict[str, Any]:
    window = ledger.window_or_new(session, budget, now)
    balance = ledger.balance(budget, window)
    return {
        "period": budget.period,
        "hard": budget.hard,
        "limit_usd": to_usd(balance.limit),
        "reserved_usd": to_usd(balance.reserved),
        "charged_usd": to_usd(balance.charged),
        "remaining_usd": to_usd(balance.remaining),
        "window_start": iso(window.starts_at),
        "window_end": iso(window.ends_at),
    }


def _team_json(team: Team) -> dict[str, Any]:
    return {
        "name": team.name,
        "max_concurrent_runs": team.max_concurrent_runs,
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
