"""A team's users."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Annotated, Any

from fastapi import Path
from fastapi.responses import JSONResponse, Response
from sqlmodel import Session

from service.api import audited
from service.api.auth import Caller, Lead
from service.api.contract import Routes
from service.api.key_schemas import UserObject, UserPut
from service.api.pages import After, Limit, Page, decode, page_json, page_of
from service.api.problems import responses
from service.api.state import App
from service.api.teams import visible_team
from service.domain.access import UserName
from service.domain.errors import Conflict
from service.domain.moment import iso
from service.store import audit, users
from service.store.tables import User

router = Routes("teams")


@router.get(
    "/teams/{team}/users", response_model=Page[UserObject], summary="List users", responses=responses(403, 404, 422)
)
def list_users(team: str, caller: Lead, app: App, limit: Limit = 50, after: After = None) -> Response:
    """By name: everybody who has had a key, signed in, or was submitted for."""
    with app.gate.db.read() as session:
        visible_team(session, caller, team)
        rows = users.page(session, team, decode(after), limit + 1)
    shown, has_more, following = page_of(rows, limit, lambda user: user.name)
    return JSONResponse(page_json([_json(user) for user in shown], has_more, following))


@router.put(
    "/teams/{team}/users/{user}",
    response_model=UserObject,
    summary="Shut a user out, or let them in",
    responses=responses(403, 404, 409, 422),
)
def put_user(team: str, user: Annotated[UserName, Path()], body: UserPut, caller: Lead, app: App) -> Response:
    """Of a user who is shut out no key works, no sign-in and no run that is submitted for them. Their runs go on, and
    what they spent stays theirs."""
    answer = audited.write(app, caller, partial(_put, caller=caller, team=team, name=user, body=body, now=app.now()))
    return JSONResponse(answer)


def _put(session: Session, caller: Caller, team: str, name: str, body: UserPut, now: datetime) -> dict[str, Any]:
    visible_team(session, caller, team)
    if body.shut_out and caller.team is not None and caller.name == name:
        raise Conflict("one does not shut oneself out", remedy="Ask another lead, or an admin.")
    user = users.ensure(session, team, name, now)
    before = user.shut_out_at is not None
    users.shut_out(session, user, caller.name, now, body.shut_out)
    audit.about(session, f"/teams/{team}/users/{name}", before={"shut_out": before}, after={"shut_out": body.shut_out})
    return _json(user)


def _json(user: User) -> dict[str, Any]:
    return {
        "team": user.team,
        "name": user.name,
        "shut_out": user.shut_out_at is not None,
        "shut_out_by": user.shut_out_by,
        "created_at": iso(user.created_at),
    }
