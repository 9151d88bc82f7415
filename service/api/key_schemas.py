"""The wire's objects about keys and users."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from service.api.team_schemas import Name
from service.api.wire import Wire
from service.domain.access import Role, Scope, UserName
from service.domain.body import AwareMoment, Body

Scopes = Annotated[list[Annotated[Scope, Field(strict=False)]] | None, Field(min_length=1, max_length=20)]
SCOPES_MEAN = (
    "By which the key may do less than its role; `write` includes `read`. Null: all that the role allows, but not "
    "`runs:on_behalf_of`, which must be given"
)


class AdminKeyCreate(Body):
    """A new admin's key."""

    name: Name = Field(examples=["ci"])
    user: UserName | None = Field(None, description="Whose key it is; the key's own name if left out")
    scopes: Scopes = Field(None, description=SCOPES_MEAN)
    expires_at: AwareMoment | None = Field(None, description="From then on it is refused; null: never")


class KeyCreate(AdminKeyCreate):
    """A new key of a team. Runs and budgets belong to its user, and outlive the key."""

    role: Literal["lead", "member", "viewer"]


class KeyRotate(Body):
    """A key in place of another one, which holds for a while still."""

    overlap_hours: float = Field(24, ge=0, le=30 * 24, description="How long the old key is taken beside the new one")
    expires_at: AwareMoment | None = Field(
        None, description="When the new key expires; null: as the old one was to. Leads alone put an end off"
    )


class KeyObject(Wire):
    """A key without its secret. `last_used_at` is noted once a minute."""

    id: str
    team: str | None
    user: str
    name: str
    role: Role
    scopes: list[Scope] | None
    created_at: datetime
    created_by: str
    last_used_at: datetime | None
    expires_at: datetime | None
    revoked_at: datetime | None
    revoked_by: str | None
    replaced_by: str | None


class NewKeyObject(KeyObject):
    """A key with its secret, shown this once."""

    key: str = Field(examples=["tg_…"])


class Me(Wire):
    """Whom the service takes the caller for."""

    user: str
    team: str | None
    role: Role
    via: str = Field(description="`key`, `setting` (the first admin's key), `oidc` or `session`")
    key_id: str | None
    scopes: list[Scope] | None


class UserObject(Wire):
    """Somebody, or something, of a team. `shut_out`: nothing that they send is taken."""

    team: str
    name: str
    shut_out: bool
    shut_out_by: str | None
    created_at: datetime


class UserPut(Body):
    """Shut a user out, or let them in again."""

    shut_out: bool
