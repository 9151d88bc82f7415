"""`/ui/admin/audit` and `/ui/admin/strays`: what people changed, and jobs that nobody here asked for."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query
from fastapi.responses import Response

from service.domain.stray import Kind
from service.web.action import utc
from service.web.pages import Looking

router = APIRouter(include_in_schema=False)
AUDIT, STRAYS = "/ui/admin/audit", "/ui/admin/strays"
PAGE = 50
Text = Annotated[str, Query(max_length=300)]
Since = Annotated[str, Query(alias="from", max_length=40)]
Until = Annotated[str, Query(alias="to", max_length=40)]


@router.get(AUDIT)
async def audit(
    visit: Looking,
    team: Text = "",
    actor: Text = "",
    on: Annotated[str, Query(alias="object", max_length=300)] = "",
    since: Since = "",
    until: Until = "",
    after: str = "",
) -> Response:
    """Newest first, narrowed as the API narrows it; times are UTC."""
    typed = {"team": team, "actor": actor, "object": on, "from": since, "to": until}
    asked = {name: utc(value) if name in ("from", "to") else value for name, value in typed.items() if value.strip()}
    found = await visit.api.get("/audit", **asked, limit=PAGE, after=after or None)
    kept = {name: value for name, value in typed.items() if value}
    return visit.show(
        "admin/audit.html",
        entries=found["data"],
        typed=typed,
        following=f"{AUDIT}?{urlencode({**kept, 'after': found['next']})}" if found["has_more"] else None,
        exports=[(form, f"/audit?{urlencode({**asked, 'format': form})}") for form in ("csv", "ndjson")],
    )


@router.get(STRAYS)
async def strays(visit: Looking, kind: Text = "", team: Text = "", after: str = "") -> Response:
    """Latest found first."""
    kept = {name: value for name, value in {"kind": kind, "team": team}.items() if value}
    found = await visit.api.get("/strays", **kept, limit=PAGE, after=after or None)
    return visit.show(
        "admin/strays.html",
        strays=found["data"],
        kinds=[one.value for one in Kind],
        kind=kind,
        team=team,
        following=f"{STRAYS}?{urlencode({**kept, 'after': found['next']})}" if found["has_more"] else None,
    )
