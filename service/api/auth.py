"""Who is calling, and how far they reach. Every route names its role by the type of its caller, and its tag says which
scope of a key it needs (`AREAS`): both are asked here and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated

from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from service.api.credentials import by_cookie, by_secret
from service.api.proven import Shown
from service.api.same_site import COOKIE, refuse_foreign
from service.api.state import State, app_of
from service.domain.access import Area, Role, Scope, held, scope_of
from service.domain.errors import Invalid, NotAllowed, NotAuthenticated, NotFound
from service.store import keys
from service.store.audit import Deed
from service.store.sign_ins import Who

BEARER = "An API key (`tg_…`), or a token of the OpenID Connect issuer"
TEAM_HEADER = "tunegate-team"
READING = frozenset({"GET", "HEAD", "OPTIONS"})
LONGEST_AGENT = 200

# What a key's scopes call each part of the API. A route whose tag is not here needs none.
AREAS = {
    "runs": Area.RUNS,
    "estimates": Area.RUNS,
    "queue": Area.RUNS,
    "steering": Area.RUNS,
    "schedules": Area.RUNS,
    "triggers": Area.RUNS,
    "sweeps": Area.RUNS,
    "teams": Area.TEAMS,
    "keys": Area.TEAMS,
    "limits": Area.TEAMS,
    "budgets": Area.MONEY,
    "usage": Area.MONEY,
    "webhooks": Area.WEBHOOKS,
    "secrets": Area.SECRETS,
    "audit": Area.AUDIT,
    "strays": Area.SERVICE,
    "metrics": Area.SERVICE,
}


@dataclass(frozen=True)
class Caller:
    """A user, and what they came with. Admins belong to no team: `team` is None. `scopes` are those of the key, None
    where it has whatever the role allows; `may` is what they come to. `prove` raises a ServiceError once what
    they came with holds no more."""

    role: Role
    team: str | None
    name: str
    via: str = "key"
    key_id: str | None = None
    scopes: tuple[Scope, ...] | None = None
    deed: Deed | None = None
    prove: Callable[[], object] = lambda: None

    def reaches(self, role: Role) -> bool:
        """Whether the caller's role is this one or a higher one."""
        return self.role.reaches(role)

    def sees(self, team: str | None) -> bool:
        """Whether a team's objects exist for this caller."""
        return self.team is None or self.team == team

    def team_or(self, named: str | None) -> str:
        """The team that a request is about: the key's, or the one that an admin names. Raises Invalid or NotFound."""
        if self.team is None:
            if named is None:
                raise Invalid("an admin's key belongs to no team", field="team", remedy="Name the team.")
            return named
        if named not in (None, self.team):
            raise NotFound(f"there is no team '{named}'", field="team", remedy="Leave it out: the key is of one team.")
        return self.team

    @property
    def holder(self) -> tuple[str | None, str]:
        """Who they are among all teams' users."""
        return self.team, self.name

    @property
    def may(self) -> frozenset[Scope]:
        """What the caller may do by scope."""
        return held(self.role, self.scopes)


async def authenticate(request: Request, credentials: HTTPAuthorizationCredentials | None) -> Caller:
    """The caller of a request, by their key, their token or their session; raises NotAuthenticated, NotAllowed for a
    changing request of a session that is not the session's own, and IssuerDown."""
    state = app_of(request)
    prove: Callable[[], Who]
    if credentials is not None:
        team = request.headers.get(TEAM_HEADER)
        shown = "bearer", keys.hash_of(credentials.credentials), team
        prove = partial(by_secret, state, credentials.credentials, team)
    elif (cookie := request.cookies.get(COOKIE)) is not None:
        if request.method not in READING:
            refuse_foreign(request.headers, cookie)
        shown = "cookie", keys.hash_of(cookie), None
        prove = partial(by_cookie, state, cookie)
    else:
        raise NotAuthenticated("the request carries no key", remedy="Send 'Authorization: Bearer tg_…'.")
    who = await _proven(state, shown, prove)
    return Caller(who.role, who.team, who.user, who.via, who.key_id, who.scopes, deed_of(request, who), prove)


async def _proven(state: State, shown: Shown, prove: Callable[[], Who]) -> Who:
    changes, now = state.gate.db.changes, state.now()
    if (who := state.proven.find(shown, changes, now)) is None:
        who = await run_in_threadpool(prove)
        state.proven.keep(shown, who, changes, now)
    return who


def deed_of(request: Request, who: Who) -> Deed:
    """What a request is about to do, for the audit log."""
    route = request.scope.get("route")
    agent = request.headers.get("user-agent")
    return Deed(
        actor=who.user,
        role=who.role.value,
        via=who.via,
        team=who.team,
        action=f"{request.method} {getattr(route, 'path', request.url.path)}",
        path=request.url.path,
        parameters=dict(request.path_params),
        key_id=who.key_id,
        address=None if request.client is None else request.client.host,
        user_agent=None if agent is None else agent[:LONGEST_AGENT],
    )


class Requires(HTTPBearer):
    """A dependency that lets callers of a role and above pass, whose key has the scope of the route; without a role,
    who has a key at all, whatever its scopes. It is the document's security scheme at once: FastAPI takes longer to go
    through a dependency of a dependency than this does."""

    def __init__(self, role: Role | None) -> None:
        super().__init__(scheme_name="HTTPBearer", description=BEARER, auto_error=False)
        self.role = role

    async def __call__(self, request: Request) -> Caller:  # type: ignore[override]
        """The caller; raises what `authenticate` raises, and NotAllowed."""
        caller = await authenticate(request, await super().__call__(request))
        if self.role is not None:
            _check(request, caller, self.role)
        return caller


def _check(request: Request, caller: Caller, role: Role) -> None:
    if not caller.reaches(role):
        raise NotAllowed(f"this needs the role '{role}', the key has '{caller.role}'")
    area = next((AREAS[tag] for tag in request.scope["route"].tags if tag in AREAS), None)
    if area is not None and (wanted := scope_of(area, request.method in READING)) not in caller.may:
        raise NotAllowed(
            f"this needs the scope '{wanted}', which the key does not have", remedy="Take a key that has it."
        )


Anybody = Annotated[Caller, Depends(Requires(None))]
Viewer = Annotated[Caller, Depends(Requires(Role.VIEWER))]
Member = Annotated[Caller, Depends(Requires(Role.MEMBER))]
Lead = Annotated[Caller, Depends(Requires(Role.LEAD))]
Admin = Annotated[Caller, Depends(Requires(Role.ADMIN))]
