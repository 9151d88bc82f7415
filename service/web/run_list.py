"""`/ui/runs`: all runs, newest first, narrowed by state, team, label or what stands in an id."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query
from fastapi.responses import RedirectResponse, Response

from service.domain.run import RunState
from service.web.pages import SEE_OTHER, Looking

router = APIRouter(include_in_schema=False)
PATH = "/ui/runs"
PAGE = 50


@router.get(PATH)
async def run_list(
    visit: Looking,
    state: Annotated[list[str] | None, Query()] = None,
    team: str = "",
    find: Annotated[str, Query(max_length=200)] = "",
    after: str = "",
) -> Response:
    """A page of runs. `find` is a run's id, a label as name=value, or the name of the model that it makes."""
    wanted = find.strip()
    if wanted.startswith("run_"):
        return RedirectResponse(f"{PATH}/{wanted}", SEE_OTHER)
    by = {"label" if "=" in wanted else "output_repo": wanted or None}
    narrowed = {"state": [one for one in state or () if one], "team": team or None, **by}
    page = await visit.api.get("/runs", **narrowed, after=after or None, limit=PAGE)
    kept = {name: value for name, value in {"state": state, "team": team, "find": find}.items() if value}
    following = f"{PATH}?{urlencode({**kept, 'after': page['next']}, doseq=True)}" if page["has_more"] else None
    return visit.show(
        "run_list.html",
        runs=page["data"],
        following=following,
        states=[one.value for one in RunState],
        chosen=state or [],
        team=team,
        find=find,
        is_first=not after,
    )
