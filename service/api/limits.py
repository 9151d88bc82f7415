"""How many runs may be active: of the organisation, of a team, of each of its users."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from fastapi.responses import JSONResponse, Response
from sqlalchemy import true
from sqlmodel import Session

from service.api import audited
from service.api.auth import Admin, Caller, Lead, Viewer
from service.api.contract import Routes
from service.api.problems import responses
from service.api.state import App
from service.api.team_schemas import (
    LimitsObject,
    LimitsPut,
    OrganisationObject,
    OrganisationPatch,
    TeamObject,
    TeamPatch,
)
from service.api.teams import held_team, team_json, visible_team
from service.domain.errors import Invalid
from service.store import changes, credentials, flavors, organisation, runs
from service.store.tables import Organisation, Team

router = Routes("limits")


@router.get(
    "/teams/{team}/limits", response_model=LimitsObject, summary="Read a team's limits", responses=responses(404)
)
def read_limits(team: str, caller: Viewer, app: App) -> Response:
    """How many runs of the team may be active."""
    with app.gate.db.read() as session:
        return JSONResponse(_limits_json(visible_team(session, caller, team)))


@router.put(
    "/teams/{team}/limits",
    response_model=LimitsObject,
    summary="Set a team's limits",
    responses=responses(403, 404, 422),
)
def put_limits(team: str, body: LimitsPut, caller: Lead, app: App) -> Response:
    """Running jobs are left alone; the limits count for what starts from now on."""
    work = partial(_set_limits, caller=caller, team=team, body=body, now=app.now())
    answer = audited.write(app, caller, work, wakes=("admit",))
    return JSONResponse(answer)


@router.patch("/teams/{team}", response_model=TeamObject, summary="Change a team", responses=responses(403, 404, 422))
def patch_team(team: str, body: TeamPatch, caller: Admin, app: App) -> Response:
    """Its weight in the fair share, and its time zone, which counts from the next budget windows on."""
    work = partial(_change_team, caller=caller, team=team, body=body, now=app.now())
    answer = audited.write(app, caller, work, wakes=("admit",))
    return JSONResponse(answer)


@router.get("/organisation", response_model=OrganisationObject, summary="Read the organisation", responses=responses())
def read_organisation(_caller: Viewer, app: App) -> Response:
    """What holds for all teams."""
    with app.gate.db.read() as session:
        return JSONResponse(_organisation_json(organisation.read(session)))


@router.patch(
    "/organisation", response_model=OrganisationObject, summary="Change the organisation", responses=responses(403, 422)
)
def patch_organisation(body: OrganisationPatch, caller: Admin, app: App) -> Response:
    """What holds for all teams together; what is left out stays as it is. Running jobs are left alone."""
    work = partial(_change_organisation, caller=caller, body=body, namespace=app.namespace, now=app.now())
    answer = audited.write(app, caller, work, wakes=("admit",))
    return JSONResponse(answer)


def _limits_json(team: Team) -> dict[str, Any]:
    return {
        "max_concurrent_runs": team.max_concurrent_runs,
        "max_concurrent_runs_per_user": team.max_concurrent_runs_per_user,
    }


def _set_limits(session: Session, caller: Caller, team: str, body: LimitsPut, now: datetime) -> dict[str, Any]:
    row = held_team(session, caller, team)
    before = _limits_json(row)
    row.max_concurrent_runs = body.max_concurrent_runs
    row.max_concurrent_runs_per_user = body.max_concurrent_runs_per_user
    changes.tell(session, row, "limits.changed", caller.name, before, _limits_json(row), now)
    return _limits_json(row)


def _change_team(session: Session, caller: Caller, team: str, body: TeamPatch, now: datetime) -> dict[str, Any]:
    row = held_team(session, caller, team)
    before = _terms_json(row)
    row.weight = row.weight if body.weight is None else body.weight
    row.time_zone = row.time_zone if body.time_zone is None else checked_zone(body.time_zone)
    changes.tell(session, row, "team.changed", caller.name, before, _terms_json(row), now)
    return team_json(row)


def _terms_json(team: Team) -> dict[str, Any]:
    return {"weight": team.weight, "time_zone": team.time_zone}


def _change_organisation(
    session: Session, caller: Caller, body: OrganisationPatch, namespace: str | None, now: datetime
) -> dict[str, Any]:
    _refuse_idle(session, body, namespace)
    row = organisation.lock(session)
    before = _organisation_json(row)
    if body.time_zone is not None:
        row.time_zone = checked_zone(body.time_zone)
    if "max_concurrent_runs" in body.model_fields_set:
        row.max_concurrent_runs = body.max_concurrent_runs
    if body.max_concurrent_runs_by_flavor is not None:
        row.max_concurrent_runs_by_flavor = dict(body.max_concurrent_runs_by_flavor)
    if body.max_concurrent_runs_by_namespace is not None:
        row.max_concurrent_runs_by_namespace = dict(body.max_concurrent_runs_by_namespace)
    if body.counts_outside is not None and body.counts_outside != row.counts_outside:
        row.counts_outside = body.counts_outside
        runs.unpark(session, "money", true())  # the organisation's budgets have more left now, or less
    changes.tell(session, row, "organisation.changed", caller.name, before, _organisation_json(row), now)
    return _organisation_json(row)


def _refuse_idle(session: Session, body: OrganisationPatch, namespace: str | None) -> None:
    """A limit of a flavor or namespace in which nothing can run would look like protection."""
    for flavor in body.max_concurrent_runs_by_flavor or ():
        flavors.refuse_unknown(session, flavor, "max_concurrent_runs_by_flavor")
    known = {namespace, *(place.namespace for place in credentials.places(session))}
    if namespace is not None and (others := sorted((body.max_concurrent_runs_by_namespace or {}).keys() - known)):
        raise Invalid(
            f"this service starts jobs in '{namespace}' only, not in '{others[0]}'",
            field="max_concurrent_runs_by_namespace",
            remedy=f"Name '{namespace}' or none.",
        )


def _organisation_json(row: Organisation) -> dict[str, Any]:
    return {
        "paused": row.paused_at is not None,
        "paused_by": row.paused_by,
        "time_zone": row.time_zone,
        "max_concurrent_runs": row.max_concurrent_runs,
        "max_concurrent_runs_by_flavor": row.max_concurrent_runs_by_flavor,
        "max_concurrent_runs_by_namespace": row.max_concurrent_runs_by_namespace,
        "counts_outside": row.counts_outside,
    }


def checked_zone(name: str) -> str:
    """A time zone's name; raises Invalid for one that there is not."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise Invalid(
            f"'{name}' is no time zone", field="time_zone", remedy="Write it as Europe/Berlin or UTC."
        ) from None
    return name
