"""Who is calling, and how far they reach. Every route names its role by the type of its caller, and its tag says which
scope of a key it needs (`AREAS`): both are asked here and nowhere else."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated

import structlog
from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from service.api.state import State, get_state
from service.domain.access import Area, Role, Scope, held, scope_of
from service.domain.errors import Invalid, NotAllowed, NotAuthenticated, NotFound
from service.store import keys, users
from service.store.audit import Deed
from service.store.tables import ApiKey, User

log = structlog.get_logger()
BEARER = HTTPBearer(auto_error=False, description="An API key, `tg_…`")
READING = frozenset({"GET", "HEAD", "OPTIONS"})
LONGEST_AGENT = 200

# What a key's scopes call each part of the API. A route whose tag is not here needs none.
AREAS = {
    "runs": Area.RUNS,
    "estimates": Area.RUNS,
    "queue": Area.RUNS,
    "steering": Area.RUNS,
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
    """A user, by the key that they hold. Admins belong to no team: `team` is None. `scopes` are those of the key, None
    where it has whatever the role allows; `may` is what they come to."""

    role: Role
    team: str | None
    name: str
    via: str = "key"
    key_id: str | None = None
    scopes: tuple[Scope, ...] | None = None
    deed: Deed | None = None

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
    def may(self) -> frozenset[Scope]:
        """What the caller may do by scope."""
        return held(self.role, self.scopes)


def authenticate(
    request: Request,
    state: Annotated[State, Depends(get_state)],
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)],
) -> Caller:
    """The caller of a request; raises NotAuthenticated."""
    if credentials is None:
        raise NotAuthenticated("the request carries no key", remedy="Send 'Authorization: Bearer tg_…'.")
    caller = _holder(state, credentials.credentials)
    return replace(caller, deed=_deed(request, caller))


def _holder(state: State, secret: str) -> Caller:
    if hmac.compare_digest(secret.encode(), state.admin_key.encode()):
        return Caller(Role.ADMIN, None, "admin", via="setting")
    with state.gate.db.read() as session:
        key = keys.by_secret(session, secret)
        user = None if key is None or key.team is None else users.get(session, key.team, key.user)
    if key is None:
        raise NotAuthenticated("the key is not valid")
    refuse_ended(key, user, state)
    if key.last_used_at is None or state.now() - key.last_used_at > keys.NOTED_EVERY:
        state.gate.db.submit(lambda session: keys.note_use(session, key.id, state.now()))
    scopes = None if key.scopes is None else tuple(map(Scope, key.scopes))
    return Caller(Role(key.role), key.team, key.user, key_id=key.id, scopes=scopes)


def refuse_ended(key: ApiKey, user: User | None, state: State) -> None:
    """Raise NotAuthenticated for a key that holds no more, or whose user is shut out."""
    if (ended := keys.end_of(key, state.now())) is not None:
        raise NotAuthenticated(f"the key {ended}", remedy="Ask a lead of the team for a new one.")
    refuse_shut_out(user)


def refuse_shut_out(user: User | None) -> None:
    """Raise NotAuthenticated for a user who is shut out."""
    if user is not None and user.shut_out_at is not None:
        raise NotAuthenticated(f"the user '{user.name}' is shut out", remedy="Ask a lead of the team.")


def _deed(request: Request, caller: Caller) -> Deed:
    route = request.scope.get("route")
    agent = request.headers.get("user-agent")
    return Deed(
        actor=caller.name,
        role=caller.role.value,
        via=caller.via,
        team=caller.team,
        action=f"{request.method} {getattr(route, 'path', request.url.path)}",
        path=request.url.path,
        parameters=dict(request.path_params),
        key_id=caller.key_id,
        address=None if request.client is None else request.client.host,
        user_agent=None if agent is None else agent[:LONGEST_AGENT],
    )


def require(role: Role) -> Callable[[Request, Caller], Caller]:
    """A dependency that lets callers of this role and above pass, whose key has the scope of the route."""

    def check(request: Request, caller: Annotated[Caller, Depends(authenticate)]) -> Caller:
        if not caller.reaches(role):
            raise NotAllowed(f"this needs the role '{role}', the key has '{caller.role}'")
        area = next((AREAS[tag] for tag in request.scope["route"].tags if tag in AREAS), None)
        if area is not None and (wanted := scope_of(area, request.method in READING)) not in caller.may:
            raise NotAllowed(
                f"this needs the scope '{wanted}', which the key does not have", remedy="Take a key that has it."
            )
        return caller

    return check


Viewer = Annotated[Caller, Depends(require(Role.VIEWER))]
Member = Annotated[Caller, Depends(require(Role.MEMBER))]
Lead = Annotated[Caller, Depends(require(Role.LEAD))]
Admin = Annotated[Caller, Depends(require(Role.ADMIN))]
