"""Who is calling, and how far their role reaches. Every route names its role here and nowhere else."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from service.api.state import State, get_state
from service.domain.errors import Invalid, NotAllowed, NotAuthenticated, NotFound
from service.store import teams

RANKS = ("viewer", "member", "lead", "admin")
BEARER = HTTPBearer(auto_error=False, description="An API key, `tg_…`")


@dataclass(frozen=True)
class Caller:
    """A key's holder. Admins belong to no team: `team` is None."""

    role: str
    team: str | None
    name: str

    def reaches(self, role: str) -> bool:
        """Whether the caller's role is this one or a higher one."""
        return RANKS.index(self.role) >= RANKS.index(role)

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


def authenticate(
    state: Annotated[State, Depends(get_state)],
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)],
) -> Caller:
    """The caller of a request; raises NotAuthenticated."""
    if credentials is None:
        raise NotAuthenticated("the request carries no key", remedy="Send 'Authorization: Bearer tg_…'.")
    secret = credentials.credentials
    if hmac.compare_digest(secret.encode(), state.admin_key.encode()):
        return Caller("admin", None, "admin")
    with state.gate.db.read() as session:
        key = teams.key_by_secret(session, secret)
    if key is None:
        raise NotAuthenticated("the key is not valid, or was revoked")
    return Caller(key.role, key.team, key.id)


def require(role: str) -> Callable[[Caller], Caller]:
    """A dependency that lets callers of this role and above pass."""

    def check(caller: Annotated[Caller, Depends(authenticate)]) -> Caller:
        if not caller.reaches(role):
            raise NotAllowed(f"this needs the role '{role}', the key has '{caller.role}'")
        return caller

    return check


Viewer = Annotated[Caller, Depends(require("viewer"))]
Member = Annotated[Caller, Depends(require("member"))]
Lead = Annotated[Caller, Depends(require("lead"))]
Admin = Annotated[Caller, Depends(require("admin"))]
