"""`/`: what runs, what waits and why, in the order in which it would start."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response

from service.domain.moment import iso
from service.web.chart import stacked_days
from service.web.pages import Looking, Visit

router = APIRouter(include_in_schema=False)
ACTIVE = ["submitting", "starting", "running"]
MOST = 200
DAYS = 7


@router.get("/")
async def queue(visit: Looking) -> Response:
    """One sentence, the money, the slots, the runs."""
    active, waiting, places, team, budgets, week, organisation = await asyncio.gather(
        visit.api.get("/runs", state=ACTIVE, limit=MOST),
        visit.api.get("/runs", state="queued", limit=MOST),
        visit.api.get("/queue", limit=MOST),
        _team(visit),
        visit.api.get_or_none("/budgets"),
        _last_days(visit),
        visit.api.get_or_none("/organisation"),
    )
    by_id = {run["id"]: run for run in waiting["data"]}
    ordered = [{**place, "run": by_id[place["run_id"]]} for place in places["data"] if place["run_id"] in by_id]
    return visit.show(
        "queue.html",
        active=active["data"],
        waiting=ordered,
        has_more=places["has_more"],
        next_one=next((one for one in ordered if one["position"] is not None), None),
        slots=_slots(active["data"], team or organisation),
        budget=_nearest([] if budgets is None else budgets["data"], visit.who.team),
        week=week,
        team=team,
        organisation=organisation,
    )


async def _team(visit: Visit) -> Mapping[str, Any] | None:
    """The team of whoever looks; admins have none."""
    found: Mapping[str, Any] | None = None
    if visit.who.team is not None:
        found = await visit.api.get_or_none(f"/teams/{visit.who.team}")
    return found


def _nearest(budgets: Sequence[Mapping[str, Any]], team: str | None) -> Mapping[str, Any] | None:
    """The budget that says most to whoever looks: their team's, else the organisation's, else any; a month's first."""
    order = ("month", "week", "day", "total")
    mine = [one for one in budgets if one["user"] is None and one["team"] in (team, None)] or budgets
    return min(mine, key=lambda one: (one["team"] != team, order.index(one["period"])), default=None)


def _slots(active: Sequence[Mapping[str, Any]], limits: Mapping[str, Any] | None) -> dict[str, Any]:
    """How many are in use, of how many (None where nobody has said), and on what."""
    flavors = Counter(run["flavor"] for run in active)
    return {
        "used": len(active),
        "most": None if limits is None else limits["max_concurrent_runs"],
        "flavors": flavors.most_common(),
    }


async def _last_days(visit: Visit) -> dict[str, Any] | None:
    """What the last seven days cost, by day and by outcome; None for who may not read money."""
    now = visit.app.now()
    period = {"from": iso(now - timedelta(days=DAYS)), "to": iso(now)}
    usage = await visit.api.get_or_none("/usage", **period, group_by="day,outcome")
    if usage is None:
        return None
    return {"total": usage["total"], "waste": usage["waste"], "chart": stacked_days(usage["data"], now, DAYS)}
