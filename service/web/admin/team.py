"""`/ui/admin/teams`: teams, and for each its terms, keys and users, secrets and tokens."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter
from fastapi.responses import RedirectResponse, Response

from service.domain.access import Scope
from service.web.pages import SEE_OTHER, Looking, Visit

router = APIRouter(include_in_schema=False)
PATH = "/ui/admin/teams"
MOST = 200


def own_team(visit: Visit) -> Response | None:
    """To the own team, for who has one; None for admins."""
    return None if visit.who.team is None else RedirectResponse(f"{PATH}/{visit.who.team}", SEE_OTHER)


@router.get(PATH)
async def teams(visit: Looking) -> Response:
    """All teams, for admins; others go to their own."""
    if (onward := own_team(visit)) is not None:
        return onward
    found, budgets = await asyncio.gather(visit.api.get("/teams"), visit.api.get_or_none("/budgets", limit=MOST))
    money: dict[str, list[Any]] = {}
    for one in [] if budgets is None else budgets["data"]:
        if one["scope"] == "team":
            money.setdefault(one["team"], []).append(one)
    return visit.show("admin/teams.html", teams=found["data"], money=money)


@router.get(PATH + "/{team}")
async def terms(visit: Looking, team: str) -> Response:
    """Limits, weight, time zone, approval rules, and how it is stopped."""
    found, rules, flavors = await asyncio.gather(
        visit.api.get(f"/teams/{team}"), visit.api.get(f"/teams/{team}/approval-rules"), visit.api.get("/flavors")
    )
    return visit.show(
        "admin/team.html", team=found, part="terms", rules=rules, flavors=[one["name"] for one in flavors["data"]]
    )


@router.get(PATH + "/{team}/keys")
async def keys(visit: Looking, team: str, after: str = "", more: str = "") -> Response:
    """Keys and users; `after` and `more` go on with a list of either."""
    found, listed, users = await asyncio.gather(
        visit.api.get(f"/teams/{team}"),
        visit.api.get(f"/teams/{team}/keys", limit=MOST, after=after or None),
        visit.api.get(f"/teams/{team}/users", limit=MOST, after=more or None),
    )
    return visit.show(
        "admin/keys.html",
        team=found,
        part="keys",
        keys=listed["data"][::-1],
        next_keys=listed["next"],
        users=users["data"],
        next_users=users["next"],
        scopes=[one.value for one in Scope],
        now=visit.app.now(),
    )


@router.get(PATH + "/{team}/secrets")
async def secrets(visit: Looking, team: str) -> Response:
    """Named secrets by name, and what is known of the team's own tokens; never a value."""
    found, kept, tokens = await asyncio.gather(
        visit.api.get(f"/teams/{team}"),
        visit.api.get(f"/teams/{team}/secrets"),
        visit.api.get_or_none(f"/teams/{team}/hf-credentials"),
    )
    return visit.show("admin/secrets.html", team=found, part="secrets", secrets=kept["data"], tokens=tokens)
