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
    active, waiting, places, limits, budgets, week = await asyncio.gather(
        visit.api.get("/runs", state=ACTIVE, limit=MOST),
        visit.api.get("/runs", state="queued", limit=MOST),
        visit.api.get("/queue", limit=MOST),
        _limits(visit),
        visit.api.get_or_none("/budgets"),
        _last_days(visit),
    )
    by_id = {run["id"]: run for run in waiting["data"]}
    ordered = [{**place, "run": by_id[place["run_id"]]} for place in places["data"] if place["run_id"] in by_id]
    return visit.show(
        "queue.html",
        active=active["data"],
        waiting=ordered,
        has_more=places["has_more"],
        next_one=next((one for one in ordered if one["position"] is not None), None),
        slots=_slots(active["data"], limits),
        budgets=[] if budgets is None else [one for one in budgets["data"] if one["user"] is None],
        week=week,
        organisation=await visit.api.get_or_none("/organisation"),
    )


async def _limits(visit: Visit) -> Mapping[str, Any] | None:
    """What says how many runs may be active at once: the team, or for admins the organisation."""
    path = "/organisation" if visit.who.team is None else f"/teams/{visit.who.team}/limits"
    found: Mapping[str, Any] | None = await visit.api.get_or_none(path)
    return found


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
