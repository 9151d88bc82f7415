"""`/ui/automation/sweeps/{id}`: a sweep, its points side by side, live."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter
from fastapi.responses import Response

from service.web.automation import may_change
from service.web.origin_words import PATH
from service.web.pages import Looking
from service.web.wording import sentence

router = APIRouter(include_in_schema=False)
ACTIVE = ("submitting", "starting", "running")


@router.get(PATH + "/sweeps/{sweep_id}")
async def sweep_page(sweep_id: str, visit: Looking) -> Response:
    """Who leads, what was stopped, what it costs."""
    sweep = await visit.api.get(f"/sweeps/{quote(sweep_id, safe='')}")
    return visit.show(
        "sweep.html",
        sweep=sweep,
        headline=headline(sweep),
        rungs=[rung_in_words(one, sweep) for one in sweep["rungs"]],
        may_cancel=may_change(visit, sweep) and not sweep["is_terminal"] and sweep["cancelled_at"] is None,
    )


def headline(sweep: Mapping[str, Any]) -> str:
    """What the page opens with: how far it is, and which point is the best."""
    told = sentence(sweep["message"])
    if sweep["cancelled_at"] is not None:
        return f"{'Cancelled' if sweep['is_terminal'] else 'Being cancelled'} by {sweep['cancelled_by']}. {told}"
    if sweep["is_terminal"]:
        return told
    active = sum(sweep["states"].get(one, 0) for one in ACTIVE)
    return f"{told} Under way: {active}, waiting: {sweep['states'].get('queued', 0)}."


def rung_in_words(rung: Mapping[str, Any], sweep: Mapping[str, Any]) -> str:
    """Who goes on from a comparison, and how many have come to it."""
    count, most, reached = rung["evaluations"], rung["goes_on"], rung["reached"]
    after = "the first evaluation" if count == 1 else f"{count} evaluations"
    best = "the best goes on" if most == 1 else f"the best {most} go on"
    so_far = "" if sweep["is_terminal"] else " so far"
    return f"After {after} {best}: {reached or 'none'} of {len(sweep['points'])} came to it{so_far}."
