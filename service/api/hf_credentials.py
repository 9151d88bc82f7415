"""Teams' own tokens of Hugging Face, and what is known of all tokens in use."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Annotated, Any

import structlog
from fastapi import Body
from fastapi.responses import JSONResponse, Response
from sqlmodel import Session

from service.api import audited
from service.api.auth import Admin, Caller, Lead
from service.api.contract import Routes
from service.api.problems import responses
from service.api.secret_schemas import CredentialsObject, CredentialsPut, TokensObject
from service.api.state import App, State
from service.api.teams import held_team, visible_team
from service.domain.access import Role
from service.domain.errors import Conflict, HubDown, NotAllowed, NotFound, together
from service.domain.moment import iso
from service.flow.tokens import Looked, look, look_again, of_service
from service.hub.faults import HubFault
from service.store import changes, credentials, teams
from service.store.credentials import Brought
from service.store.tables import TeamCredential

log = structlog.get_logger()
router = Routes("secrets")
SHOWN = 5
EXAMPLES: Any = {
    "own organisation": {
        "value": {"control_token": "hf_labs", "job_token": "hf_labs_job", "namespaces": ["labs"]},
        "summary": "The sandbox's organisation `labs`",
    }
}


@router.put(
    "/teams/{team}/hf-credentials",
    response_model=CredentialsObject,
    summary="Give a team its own tokens",
    responses=responses(403, 404, 409, 422, 503),
)
def put_credentials(
    team: str, body: Annotated[CredentialsPut, Body(openapi_examples=EXAMPLES)], caller: Lead, app: App
) -> Response:
    """Hugging Face is asked first: the control token must be able to start jobs in each namespace, the job token to
    write repositories there and to start no job anywhere. Runs submitted from now on use them to their end, and no
    other team's; tokens that replace earlier ones hold at once, also for what runs."""
    with app.gate.db.read() as session:
        visible_team(session, caller, team)
    if body.allow_broad_job_token and not caller.reaches(Role.ADMIN):
        raise NotAllowed(
            "a job token that could start jobs is past every budget, and budgets are an admin's",
            remedy="Leave allow_broad_job_token out, or ask an admin.",
        )
    hub = app.gate.hub.with_tokens(body.control_token, body.job_token)
    may_be_broad = body.allow_broad_job_token or app.gate.limits.allow_broad_job_token
    try:
        found = look(hub, body.namespaces, may_be_broad=may_be_broad)
    except HubFault as error:
        raise HubDown(f"the tokens could not be checked: {error.message}", remedy="Try again in a while.") from None
    if found.problems:
        raise together(found.problems)
    work = partial(_put, app=app, caller=caller, team=team, body=body, found=found, now=app.now())
    answer = audited.write(app, caller, work, wakes=("preflight", "admit", "watch"))
    log.info("team_credentials_set", team=team, by=caller.name, namespaces=body.namespaces)
    return JSONResponse(answer)


@router.get(
    "/teams/{team}/hf-credentials",
    response_model=CredentialsObject,
    summary="Read what is known of a team's own tokens",
    responses=responses(403, 404),
)
def read_credentials(team: str, caller: Lead, app: App) -> Response:
    """Accounts, namespaces, warnings; never a token."""
    with app.gate.db.read() as session:
        return JSONResponse(_json(session, _own(session, caller, team)))


@router.post(
    "/teams/{team}/hf-credentials/check",
    response_model=CredentialsObject,
    summary="Check a team's own tokens again",
    responses=responses(403, 404, 503),
)
def check_credentials(team: str, caller: Lead, app: App) -> Response:
    """Asks Hugging Face now; the service does so by itself every hour."""
    with app.gate.db.read() as session:
        _own(session, caller, team)
    if look_again(app.gate, team, is_step=False) is None:
        raise HubDown("Hugging Face did not say what the tokens may do", remedy="Try again in a while.")
    with app.gate.db.read() as session:
        return JSONResponse(_json(session, _own(session, caller, team)))


@router.delete(
    "/teams/{team}/hf-credentials",
    status_code=204,
    summary="Take a team's own tokens away",
    responses=responses(403, 404, 409),
)
def delete_credentials(team: str, caller: Lead, app: App) -> Response:
    """Refused while runs that use them have not ended. The team's next runs use the service's tokens."""
    audited.write(app, caller, partial(_delete, caller=caller, team=team, now=app.now()))
    log.info("team_credentials_removed", team=team, by=caller.name)
    return Response(status_code=204)


@router.get(
    "/hub/tokens",
    response_model=TokensObject,
    summary="What the service's own tokens may do",
    responses=responses(403, 503),
)
def read_tokens(_caller: Admin, app: App) -> Response:
    """Asks Hugging Face whose they are, and names what they may do beyond what they need."""
    try:
        found = of_service(app.gate)
    except HubFault as error:
        raise HubDown(error.message, remedy="Try again in a while.") from None
    namespaces = [app.gate.namespace] if app.gate.namespace else []
    allowed = app.gate.limits.allow_broad_job_token
    return JSONResponse({**_tokens_json(found.as_json(), namespaces, allowed), "checked_at": iso(app.now())})


def _own(session: Session, caller: Caller, team: str) -> TeamCredential:
    visible_team(session, caller, team)
    if (row := credentials.get(session, team)) is None:
        raise NotFound(
            f"team {team} has no tokens of its own: the service's are used",
            remedy=f"PUT /teams/{team}/hf-credentials brings some.",
        )
    return row


def _put(
    session: Session, app: State, caller: Caller, team: str, body: CredentialsPut, found: Looked, now: datetime
) -> dict[str, Any]:
    whose = held_team(session, caller, team)
    teams.refuse_archived(whose, once_closed=True)
    before = _told(credentials.held(session, team, for_change=True))
    live = credentials.in_use(session, team)
    if left_out := sorted(live.keys() - set(body.namespaces)):
        raise Conflict(
            f"{', '.join(live[left_out[0]][:SHOWN])} {_have(live[left_out[0]])} not ended and "
            f"{_are(live[left_out[0]])} in '{left_out[0]}', which these tokens are not for",
            field="namespaces",
            remedy=f"Name '{left_out[0]}' as well, or wait for their end.",
        )
    sealed = app.gate.vault.seal({"control_token": body.control_token, "job_token": body.job_token})
    brought = Brought(sealed, body.namespaces, body.allow_broad_job_token, found.as_json())
    row = credentials.put(session, team, brought, caller.name, now)
    changes.tell(session, whose, "team.changed", caller.name, before, _told(row), now)
    return _json(session, row)


def _delete(session: Session, caller: Caller, team: str, now: datetime) -> None:
    whose = held_team(session, caller, team)
    row = _own(session, caller, team)
    credentials.held(session, team, for_change=True)
    if live := [run_id for run_ids in credentials.in_use(session, team).values() for run_id in run_ids]:
        more = "" if len(live) <= SHOWN else f" and {len(live) - SHOWN} more"
        raise Conflict(
            f"{', '.join(live[:SHOWN])}{more} {_have(live)} not ended and {'use' if len(live) > 1 else 'uses'} them",
            remedy="Wait for their end, or cancel them.",
        )
    if credentials.watches_strays(session, team):
        raise Conflict("a stray job that only they see has not ended", remedy="GET /strays names it. Wait for its end.")
    changes.tell(session, whose, "team.changed", caller.name, _told(row), _told(None), now)
    session.delete(row)


def _have(runs: list[str]) -> str:
    return "have" if len(runs) > 1 else "has"


def _are(runs: list[str]) -> str:
    return "are" if len(runs) > 1 else "is"


def _told(row: TeamCredential | None) -> dict[str, Any]:
    """What an event tells of them."""
    if row is None:
        return {"hf_credentials": None}
    accounts = {name: row.found[name]["account"] for name in ("control", "job")}
    return {"hf_credentials": {"version": row.version, "namespaces": row.namespaces, **accounts}}


def _json(session: Session, row: TeamCredential) -> dict[str, Any]:
    return {
        "team": row.team,
        **_tokens_json(row.found, row.namespaces, row.allow_broad_job_token),
        "checked_at": iso(row.checked_at),
        "updated_at": iso(row.updated_at),
        "updated_by": row.updated_by,
        "live_runs": sum(map(len, credentials.in_use(session, row.team).values())),
    }


def _tokens_json(found: dict[str, Any], namespaces: list[str], is_broad_allowed: bool) -> dict[str, Any]:
    return {**found, "namespaces": namespaces, "allow_broad_job_token": is_broad_allowed}
