"""What the groups of an identity provider may do here: which team and role each stands for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from service.domain.access import Role


@dataclass(frozen=True)
class Grant:
    """People with this value of the claim have this role in this team; admins are of no team."""

    value: str
    role: Role
    team: str | None


def read_grant(text: str) -> Grant:
    """`GROUP=TEAM:ROLE`, or `GROUP=admin`. Raises ValueError with the rule for any other text."""
    value, found, what = (part.strip() for part in text.partition("="))
    if not found or not value:
        raise ValueError(f"'{text}' is not of the form GROUP=TEAM:ROLE or GROUP=admin")
    if what == Role.ADMIN:
        return Grant(value, Role.ADMIN, None)
    team, found, role = (part.strip() for part in what.partition(":"))
    if not found or not team or role not in set(Role) - {Role.ADMIN}:
        raise ValueError(f"'{text}': after '=' stands TEAM:viewer, TEAM:member, TEAM:lead, or admin")
    return Grant(value, Role(role), team)


def granted(grants: Sequence[Grant], values: Iterable[str], team: str | None = None) -> Grant | None:
    """What somebody with these values of the claim may do: as an admin where one of them says so; else in the team that
    they name, or in the first one as the grants are written, in the highest role that they have there. None where
    nothing is granted to them."""
    held = set(values)
    mine = [grant for grant in grants if grant.value in held]
    if team is None:
        first = next((grant for grant in mine if grant.role is Role.ADMIN), mine[0] if mine else None)
        team = None if first is None else first.team
    here = [grant for grant in mine if grant.team == team]
    return max(here, key=lambda grant: list(Role).index(grant.role), default=None)
