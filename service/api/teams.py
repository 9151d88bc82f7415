"""Teams."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Annotated, Any

from fastapi import Body
from fastapi.responses import JSONResponse, Response
from sqlmodel import Session

from service.api import audited
from service.api.auth import Admin, Caller, Viewer
from service.api.contract import Routes
from service.api.pages import Page, page_json
from service.api.problems import responses
from service.api.state import App
from service.api.team_schemas import TeamArchive, TeamCreate, TeamObject
from service.domain.errors import Conflict, Invalid, NotFound
from service.domain.moment import iso
from service.store import audit, holds, teams
from service.store.budgets import ORGANISATION
from service.store.tables import Team

router = Routes("teams")


@router.post(
    "/teams", status_code=201, response_model=TeamObject, summary="Create a team", responses=responses(403, 409, 422)
)
def create_team(body: TeamCreate, caller: Admin, app: App) -> Response:
    """A team has no money until a budget is granted: PUT /teams/{team}/budget."""
    if body.name == ORGANISATION:
        raise Invalid(
            f"'{ORGANISATION}' is what all teams together are called", field="name", remedy="Choose another name."
        )
    team = audited.write(app, caller, partial(_insert, name=body.name, now=app.now()))
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
    "/teams/{team}/archive",
    status_code=202,
    response_model=TeamObject,
    summary="Archive a team",
    responses=responses(403, 404, 422),
)
def archive_team(
    team: str, body: Annotated[TeamArchive, Body(default_factory=TeamArchive)], caller: Admin, app: App
) -> Response:
    """It takes no more runs. Those that it has are let end, or are cancelled; after the last one its keys and endpoints
    are ended. Its runs, its ledger and its audit log stay. `archive.state` is `archived` then."""
    work = partial(_archive, team=team, body=body, caller=caller, now=app.now())
    answer = audited.write(app, caller, work, wakes=("cancel", "archive"))
    return JSONResponse(answer, 202)


@router.post(
    "/teams/{team}/unarchive", response_model=TeamObject, summary="Open a team again", responses=responses(403, 404)
)
def unarchive_team(team: str, caller: Admin, app: App) -> Response:
    """It takes runs again. Keys and endpoints that were ended stay so."""
    answer = audited.write(app, caller, partial(_unarchive, team=team, caller=caller, now=app.now()))
    return JSONResponse(answer)


def visible_team(session: Session, caller: Caller, name: str) -> Team:
    """A team that the caller sees; raises NotFound for any other."""
    team = teams.get(session, name)
    if team is None or not caller.sees(name):
        raise NotFound(f"there is no team '{name}'")
    return team


def _insert(session: Session, name: str, now: datetime) -> Team:
    team = teams.insert(session, name, now)
    if team is None:
        raise Conflict(f"there is a team '{name}' already", field="name")
    audit.about(session, f"/teams/{name}", name)
    return team


def held_team(session: Session, caller: Caller, name: str) -> Team:
    """The same, held for a change."""
    visible_team(session, caller, name)
    team = teams.lock(session, name)
    assert team is not None
    return team


def open_team(session: Session, caller: Caller, name: str) -> Team:
    """A team that the caller sees and that takes new runs and keys; raises NotFound and TeamArchived."""
    team = visible_team(session, caller, name)
    teams.refuse_archived(team)
    return team


def _archive(session: Session, team: str, body: TeamArchive, caller: Caller, now: datetime) -> dict[str, Any]:
    if body.runs == "cancel":
        visible_team(session, caller, team)
        holds.stop_team(session, team, caller.name, now)
    row = held_team(session, caller, team)
    teams.archive(session, row, caller.name, now, stop=True)
    return team_json(row)


def _unarchive(session: Session, team: str, caller: Caller, now: datetime) -> dict[str, Any]:
    row = held_team(session, caller, team)
    teams.archive(session, row, caller.name, now, stop=False)
    return team_json(row)


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
        "archive": teams.state_json(team),
        "created_at": iso(team.created_at),
    }
