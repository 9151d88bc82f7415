"""Who may do what: roles, one above the other, and scopes, by which a key may be less than its role."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated

from service.domain.form import Form

USER = Form(
    r"[^\x00-\x1f\x7f/]{1,100}",
    "a user's name is 1 to 100 characters, without '/' and line breaks",
    "Write it as 'alice@acme.com'.",
)
UserName = Annotated[str, USER]


class Role(StrEnum):
    """Each may do what those before it may."""

    VIEWER = "viewer"
    MEMBER = "member"
    LEAD = "lead"
    ADMIN = "admin"

    def reaches(self, other: Role) -> bool:
        """Whether this role is the other or a higher one."""
        ranks = list(Role)
        return ranks.index(self) >= ranks.index(other)


class Area(StrEnum):
    """What a scope is about."""

    RUNS = "runs"
    TEAMS = "teams"
    MONEY = "money"
    WEBHOOKS = "webhooks"
    SECRETS = "secrets"
    AUDIT = "audit"
    SERVICE = "service"


class Scope(StrEnum):
    """What a key may do. Writing includes reading."""

    RUNS_READ = "runs:read"
    RUNS_WRITE = "runs:write"
    # Submitting in the name of a user of the team. Only an admin's role has it by itself.
    RUNS_ON_BEHALF_OF = "runs:on_behalf_of"
    TEAMS_READ = "teams:read"
    TEAMS_WRITE = "teams:write"
    MONEY_READ = "money:read"
    MONEY_WRITE = "money:write"
    WEBHOOKS_READ = "webhooks:read"
    WEBHOOKS_WRITE = "webhooks:write"
    SECRETS_READ = "secrets:read"
    SECRETS_WRITE = "secrets:write"
    AUDIT_READ = "audit:read"
    SERVICE_READ = "service:read"
    SERVICE_WRITE = "service:write"


def scope_of(area: Area, is_reading: bool) -> Scope:
    """The scope that a request needs."""
    return Scope(f"{area}:{'read' if is_reading else 'write'}")


def held(role: Role, scopes: Iterable[str] | None) -> frozenset[Scope]:
    """What a caller may do by scope; without scopes of its own (None), all but `runs:on_behalf_of`, which only admins
    have then."""
    if scopes is None:
        return frozenset(Scope) - (frozenset() if role is Role.ADMIN else {Scope.RUNS_ON_BEHALF_OF})
    given = frozenset(map(Scope, scopes))
    return given | {Scope(one.replace(":write", ":read")) for one in given}


def beyond(own: frozenset[Scope], role: Role, asked: Iterable[str] | None) -> list[Scope]:
    """Which scopes of a key that a caller makes are more than the caller has, who would have them by that key.
    `runs:on_behalf_of` is a lead's to give, and an admin's: nobody has it before it is given."""
    wanted = frozenset(Scope) - {Scope.RUNS_ON_BEHALF_OF} if asked is None else frozenset(map(Scope, asked))
    is_whole = own >= frozenset(Scope) - {Scope.RUNS_ON_BEHALF_OF} and role.reaches(Role.LEAD)
    return sorted(wanted - own - ({Scope.RUNS_ON_BEHALF_OF} if is_whole else frozenset()))
