"""`/ui/admin/organisation`: what holds for all teams together, admins' keys, the service's own tokens."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter
from fastapi.responses import Response

from service.domain.access import Scope
from service.web.inside import Refusal
from service.web.pages import Looking

router = APIRouter(include_in_schema=False)
PATH = "/ui/admin/organisation"
MOST = 200


@router.get(PATH)
async def organisation(visit: Looking, ask: str = "") -> Response:
    """Read by everybody, changed by admins. `ask=tokens` asks Hugging Face what the service's tokens may do."""
    found, keys, flavors = await asyncio.gather(
        visit.api.get("/organisation"),
        visit.api.get_or_none("/organisation/keys", limit=MOST),
        visit.api.get("/flavors"),
    )
    tokens, trouble = None, None
    if ask == "tokens" and visit.reaches("admin"):
        try:
            tokens = await visit.api.get("/hub/tokens")
        except Refusal as refusal:
            trouble = refusal
    return visit.show(
        "admin/organisation.html",
        organisation=found,
        keys=None if keys is None else keys["data"][::-1],
        flavors=[one["name"] for one in flavors["data"]],
        scopes=[one.value for one in Scope],
        tokens=tokens,
        trouble=trouble,
        now=visit.app.now(),
    )
