"""`/ui/money`: what is left and how long it lasts, where it went, and what of it was wasted."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter
from fastapi.responses import Response

from service.domain.moment import iso
from service.web.burn_down import address, burn_down
from service.web.chart import daily
from service.web.pages import Looking, Visit
from service.web.span import Span, chosen

router = APIRouter(include_in_schema=False)
PATH = "/ui/money"
MOST = 200
# Each card asks for its window's steps; what is beyond is a line of a table.
MOST_CARDS = 12
STRAYS = 5
DIMENSIONS = ("team", "user", "flavor", "outcome")


@router.get(PATH)
async def money(visit: Looking, team: str = "", span: str = "") -> Response:
    """Of the caller's team; admins choose one, or see the organisation with a line for each team."""
    whose = visit.who.team or team or None
    budgets, place, teams = await asyncio.gather(
        visit.api.get("/budgets", limit=MOST),
        visit.api.get("/organisation" if whose is None else f"/teams/{whose}"),
        visit.api.get("/teams"),
    )
    shown = _shown(budgets["data"], whose)
    tightest = _tightest(shown, visit.who.user if whose else None)
    shown.sort(key=lambda one: one is not tightest)
    cards, rows = _as_cards(shown, whose)
    now = visit.app.now()
    period = chosen(span, now, place["time_zone"], cards[0] if cards else None)
    steps, spent, users, strays = await asyncio.gather(
        asyncio.gather(*(visit.api.get(address(one)) for one in cards)),
        _spent(visit, period, whose),
        visit.api.get_or_none(f"/teams/{whose}/users", limit=MOST) if whose and visit.reaches("lead") else _none(),
        visit.api.get_or_none("/strays", limit=STRAYS, team=whose) if visit.reaches("admin") else _none(),
    )
    return visit.show(
        "money.html",
        whose=whose,
        teams=[one["name"] for one in teams["data"]],
        tightest=tightest,
        first_out=_first_out(shown),
        cards=[{"budget": one, "chart": burn_down(one, steps, now)} for one, steps in zip(cards, steps, strict=True)],
        rows=rows,
        has_more=budgets["has_more"],
        period=period,
        spans=[(name, words, _link(whose, name)) for name, words in period.choices],
        spent=spent,
        users=[] if users is None else [one["name"] for one in users["data"]],
        strays=None if strays is None else strays["data"],
    )


async def _none() -> None:
    return None


def _shown(budgets: Sequence[Mapping[str, Any]], whose: str | None) -> list[Mapping[str, Any]]:
    """A team's own first, then its users', then the organisation's; of all teams, the organisation's first."""
    if whose is None:
        found = [one for one in budgets if one["user"] is None]
        return sorted(found, key=lambda one: (one["team"] is not None, one["name"]))
    found = [one for one in budgets if one["team"] in (whose, None)]
    order = ("team", "user", "organisation")
    return sorted(found, key=lambda one: (order.index(one["scope"]), one["name"]))


def _as_cards(
    budgets: Sequence[Mapping[str, Any]], whose: str | None
) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    """Which have a card of their own, and which a line of the table."""
    own = [one for one in budgets if whose is not None or one["team"] is None]
    return own[:MOST_CARDS], own[MOST_CARDS:] + [one for one in budgets if one not in own]


def _tightest(budgets: Sequence[Mapping[str, Any]], user: str | None) -> Mapping[str, Any] | None:
    """What a run must fit and has least left: hard before soft, other users' budgets aside."""
    binding = [one for one in budgets if one["user"] in (None, user)]
    if user is None:
        binding = [one for one in binding if one["team"] is None]
    return min(binding, key=lambda one: (not one["hard"], one["remaining_usd"]), default=None)


def _first_out(budgets: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The one whose money is spent first at its present rate; None where each lasts."""
    ending = [one for one in budgets if one["forecast"]["ends_at"] is not None]
    return min(ending, key=lambda one: one["forecast"]["ends_at"], default=None)


async def _spent(visit: Visit, period: Span, whose: str | None) -> dict[str, Any] | None:
    """What the period cost, by each dimension; None for who may not read money."""
    asked = {"from": iso(period.since), "to": iso(period.until), "team": whose}
    dimensions = [one for one in DIMENSIONS if one != "team" or whose is None]
    days = await visit.api.get_or_none("/usage", **asked, group_by="day,outcome")
    if days is None:
        return None
    groups = await asyncio.gather(*(visit.api.get("/usage", **asked, group_by=one) for one in dimensions))
    return {
        "total": days["total"],
        "waste": days["waste"],
        "time_zone": days["time_zone"],
        "days": daily(days["data"], period.days),
        "by": [(name, _ranked(name, found["data"])) for name, found in zip(dimensions, groups, strict=True)],
        "csv": [(name, _csv(asked, by)) for name, by in _tables(dimensions)],
    }


def _ranked(name: str, groups: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The most money first, then what is held."""
    found = [{**one, "name": one[name]} for one in groups]
    return sorted(found, key=lambda one: (-one["metered_usd"], -one["reserved_usd"]))


def _tables(dimensions: Sequence[str]) -> list[tuple[str, str]]:
    return [*((f"by {one}", one) for one in dimensions), ("by day", "day"), ("all", ",".join(["day", *dimensions]))]


def _csv(asked: Mapping[str, Any], group_by: str) -> str:
    given = {name: value for name, value in asked.items() if value is not None}
    return f"/usage?{urlencode({**given, 'group_by': group_by, 'format': 'csv'})}"


def _link(whose: str | None, span: str) -> str:
    given = {"team": whose, "span": span}
    return f"{PATH}?{urlencode({name: value for name, value in given.items() if value})}"
