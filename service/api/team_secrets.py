"""Teams' named secrets: runs refer to them, and never carry their values."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Annotated, Any

import structlog
from fastapi import Path
from fastapi.responses import JSONResponse, Response
from sqlmodel import Session

from service.api import audited
from service.api.auth import Caller, Lead, Member
from service.api.contract import Routes
from service.api.pages import Page, page_json
from service.api.problems import responses
from service.api.secret_schemas import SecretObject, SecretPut
from service.api.state import App, State
from service.api.teams import held_team, visible_team
from service.domain.errors import BrokenRule, Conflict, Invalid, NotFound
from service.domain.moment import iso
from service.domain.secret_ref import JOB_TOKEN, NAME
from service.store import changes, team_secrets, teams
from service.store.tables import TeamSecret

log = structlog.get_logger()
router = Routes("secrets")
SHOWN = 5
SecretNamed = Annotated[str, Path(description="Letters, digits, '.', '_' and '-'; at most 64", examples=["wandb"])]


@router.put(
    "/teams/{team}/secrets/{name}",
    response_model=SecretObject,
    summary="Keep a secret for a team's runs",
    responses={
        **responses(403, 404, 409, 422),
        201: {"model": SecretObject, "description": "There was none of this name"},
    },
)
def put_secret(team: str, name: SecretNamed, body: SecretPut, caller: Lead, app: App) -> Response:
    """Runs name it in `secrets` as `{"WANDB_API_KEY": {"ref": "wandb"}}`. A value that replaces another is what the
    next attempt of each such run gets; jobs that run keep theirs."""
    try:
        NAME.check(name)
    except BrokenRule as error:
        raise Invalid(error.rule, field="name", remedy=error.remedy) from None
    if name == JOB_TOKEN:
        raise Invalid(
            f"'{name}' stands for the token that each job is given", field="name", remedy="Choose another name."
        )
    work = partial(_put, app=app, caller=caller, team=team, name=name, value=body.value, now=app.now())
    answer, is_new = audited.write(app, caller, work)
    log.info("team_secret_set", team=team, secret=name, by=caller.name)
    return JSONResponse(answer, 201 if is_new else 200)


@router.get(
    "/teams/{team}/secrets", response_model=Page[SecretObject], summary="List secrets", responses=responses(403, 404)
)
def list_secrets(team: str, caller: Member, app: App) -> Response:
    """Their names, for who submits runs; values are never shown."""
    with app.gate.db.read() as session:
        visible_team(session, caller, team)
        live = team_secrets.in_use(session, team)
        data = [_json(row, live) for row in team_secrets.every(session, team)]
    return JSONResponse(page_json(data, False, None))


@router.delete(
    "/teams/{team}/secrets/{name}", status_code=204, summary="Wipe a secret", responses=responses(403, 404, 409)
)
def delete_secret(team: str, name: SecretNamed, caller: Lead, app: App) -> Response:
    """Refused while runs that refer to it have not ended."""
    audited.write(app, caller, partial(_delete, caller=caller, team=team, name=name, now=app.now()))
    log.info("team_secret_removed", team=team, secret=name, by=caller.name)
    return Response(status_code=204)


def _put(
    session: Session, app: State, caller: Caller, team: str, name: str, value: str, now: datetime
) -> tuple[dict[str, Any], bool]:
    whose = held_team(session, caller, team)
    teams.refuse_archived(whose, once_closed=True)
    before = _told(team_secrets.get(session, team, name), name)
    sealed = app.gate.vault.seal({"value": value})
    row, is_new = team_secrets.put(session, team, name, sealed, caller.name, now)
    changes.tell(session, whose, "team.changed", caller.name, before, _told(row, name), now)
    return _json(row, team_secrets.in_use(session, team)), is_new


def _delete(session: Session, caller: Caller, team: str, name: str, now: datetime) -> None:
    whose = held_team(session, caller, team)
    if (row := team_secrets.held(session, team, name)) is None:
        raise NotFound(f"team {team} keeps no secret '{name}'")
    if live := team_secrets.in_use(session, team).get(name):
        more = "" if len(live) <= SHOWN else f" and {len(live) - SHOWN} more"
        raise Conflict(
            f"{', '.join(live[:SHOWN])}{more} {'refer' if len(live) > 1 else 'refers'} to '{name}' and "
            f"{'have' if len(live) > 1 else 'has'} not ended",
            remedy="Wait for their end, or cancel them. A new value can be put in its place at any time.",
        )
    changes.tell(session, whose, "team.changed", caller.name, _told(row, name), _told(None, name), now)
    team_secrets.delete(session, row)


def _told(row: TeamSecret | None, name: str) -> dict[str, Any]:
    """What an event tells of it."""
    return {"secret": name, "updated_at": None if row is None else iso(row.updated_at)}


def _json(row: TeamSecret, live: dict[str, list[str]]) -> dict[str, Any]:
    return {
        "name": row.name,
        "created_at": iso(row.created_at),
        "created_by": row.created_by,
        "updated_at": iso(row.updated_at),
        "updated_by": row.updated_by,
        "live_runs": len(live.get(row.name, ())),
    }
