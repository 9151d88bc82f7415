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
from service.web.wording import number

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
    """The one sentence that the page opens with."""
    best = _best(sweep)
    if sweep["state"] == "cancelled":
        return f"Cancelled by {sweep['cancelled_by']}. {best}"
    if sweep["is_terminal"]:
        return best
    if sweep["cancelled_at"] is not None:
        return f"It is being cancelled, by {sweep['cancelled_by']}."
    states = sweep["states"]
    active = sum(states.get(one, 0) for one in ACTIVE)
    begun = f"{active} of {sum(states.values())} points {'is' if active == 1 else 'are'} under way"
    waits = f", {states['queued']} {'waits' if states['queued'] == 1 else 'wait'}" if "queued" in states else ""
    return f"{begun}{waits}. {best}"


def _best(sweep: Mapping[str, Any]) -> str:
    best, so_far = sweep["best"], "" if sweep["is_terminal"] else " so far"
    if best is None:
        return f"No point has succeeded and told a loss{so_far}."
    return f"Point {best['number']} is the best{so_far}, with a loss of {number(best['eval_loss'])}."


def rung_in_words(rung: Mapping[str, Any], sweep: Mapping[str, Any]) -> str:
    """Who goes on from a comparison, and how many have come to it."""
    count, most, reached = rung["evaluations"], rung["goes_on"], rung["reached"]
    after = "the first evaluation" if count == 1 else f"{count} evaluations"
    best = "the best goes on" if most == 1 else f"the best {most} go on"
    so_far = "" if sweep["is_terminal"] else " so far"
    return f"After {after} {best}: {reached or 'none'} of {len(sweep['points'])} came to it{so_far}."
