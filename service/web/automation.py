"""`/ui/automation`: what makes runs by itself: sweeps, schedules and triggers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter
from fastapi.responses import Response

from service.domain.moment import iso
from service.web.inside import Refusal
from service.web.origin_words import PATH, part_of, path_of
from service.web.pages import Looking, Visit

router = APIRouter(include_in_schema=False)
PAGE = 20
MOST = 200


@router.get(PATH)
async def automation(visit: Looking, after: str = "") -> Response:
    """Sweeps page by page, as those that have ended stay; schedules and triggers all."""
    sweeps, schedules, triggers = await asyncio.gather(
        visit.api.get("/sweeps", limit=PAGE, after=after or None),
        visit.api.get("/schedules", limit=MOST),
        visit.api.get("/triggers", limit=MOST),
    )
    timed = [{**one, "next_times": [_utc(at) for at in one["next_times"]]} for one in schedules["data"]]
    return visit.show(
        "automation.html",
        sweeps=sweeps["data"],
        following=f"{PATH}?{urlencode({'after': sweeps['next']})}" if sweeps["has_more"] else None,
        schedules=timed,
        triggers=triggers["data"],
        has_more=schedules["has_more"] or triggers["has_more"],
        next_one=_next(timed),
        may=partial(may_change, visit),
    )


def may_change(visit: Visit, origin: Mapping[str, Any]) -> bool:
    """Whether there are buttons for it: leads have them, and members of what is theirs. The API decides again."""
    return visit.reaches("lead") or (visit.reaches("member") and visit.who.user == origin["owner"])


async def origin_of(visit: Visit, run: Mapping[str, Any]) -> dict[str, str] | None:
    """What made a run by itself: its kind, its name and its page. One that was removed, or that the caller may not see,
    has its id alone."""
    if (origin_id := run["origin"]) is None:
        return None
    part = part_of(origin_id)
    kind = part.removesuffix("s")
    try:
        found = await visit.api.get(f"/{part}/{origin_id}")
    except Refusal as refusal:
        if refusal.status not in (403, 404):
            raise
        return {"kind": f"{kind}{', removed' if refusal.status == 404 else ''}", "name": origin_id, "path": ""}
    return {"kind": kind, "name": found["name"], "path": path_of(origin_id)}


def _next(schedules: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The schedule whose time comes first."""
    timed = [one for one in schedules if one["next_times"]]
    return min(timed, key=lambda one: one["next_times"][0], default=None)


def _utc(at: str) -> str:
    """A time of a schedule's zone as pages have times."""
    return iso(datetime.fromisoformat(at).astimezone(UTC))
