"""Who the client is, and on what hardware jobs run."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from service.api.auth import Anybody
from service.api.state import App
from service.domain.access import Role, Scope
from service.doors.hf import place
from service.doors.hf.job import id_of
from service.store import flavors

router = APIRouter(tags=["account"], include_in_schema=False)


@router.get("/api/whoami-v2")
def whoami(caller: Anybody, app: App) -> Response:
    """The client takes the name that stands here for the namespace of its jobs, so it is that of the team's; who calls
    is told in full."""
    with app.gate.db.read() as session:
        name = place.default_namespace(session, app, caller)
        others = place.namespaces(session, app, caller)[1:]
    may_write = caller.reaches(Role.MEMBER) and Scope.RUNS_WRITE in caller.may
    team = "an admin" if caller.team is None else f"team {caller.team}"
    return JSONResponse(
        {
            "type": "user",
            "id": id_of(f"user/{caller.team}/{caller.name}"),
            "name": name,
            "fullname": f"{caller.name}, {team} at Tunegate",
            "isPro": False,
            "avatarUrl": "",
            "periodEnd": None,
            "orgs": [
                {"type": "org", "id": id_of(one), "name": one, "fullname": one, "avatarUrl": ""} for one in others
            ],
            "auth": {
                "type": "access_token",
                "accessToken": {"displayName": caller.name, "role": "write" if may_write else "read"},
            },
        }
    )


@router.get("/api/jobs/hardware")
def hardware(app: App, _caller: Anybody) -> Response:
    """Hugging Face's list as it was last read, with its prices; empty before the first time."""
    with app.gate.db.read() as session:
        return JSONResponse([one.hardware for one in flavors.every(session)])
