"""Where the Hub's webhooks point: what they say of a watched repository is taken as a hint."""

from __future__ import annotations

import asyncio
import hmac
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Body, Header
from fastapi.responses import JSONResponse, Response
from sqlmodel import Session

from service.api.problems import responses
from service.api.state import App, State
from service.api.trigger_schemas import Hinted
from service.domain.errors import NotAuthenticated
from service.domain.hub_hook import tells_of
from service.store import topics, triggers

router = APIRouter(tags=["triggers"])
PAYLOAD = {"event": {"action": "update", "scope": "repo.content"}, "repo": {"type": "dataset", "name": "acme/chats"}}


@router.post(
    "/hooks/hub/{trigger_id}",
    status_code=202,
    response_model=Hinted,
    summary="Hear of a repository's change",
    responses=responses(401, 422, 429),
)
async def hear_of_change(
    trigger_id: str,
    payload: Annotated[dict[str, Any], Body(examples=[PAYLOAD])],
    app: App,
    x_webhook_secret: Annotated[str, Header(description="The trigger's secret")] = "",
) -> Response:
    """For the Hub, which sends the trigger's secret: no key is needed. A change of the watched repository's files makes
    it be read again, once its debounce is over; anything else is passed over."""
    work = partial(_hear, trigger_id=trigger_id, secret=x_webhook_secret, payload=payload, app=app)
    heard = await asyncio.wrap_future(app.gate.db.submit(work))
    return JSONResponse(heard, 202)


def _hear(session: Session, trigger_id: str, secret: str, payload: dict[str, Any], app: State) -> dict[str, Any]:
    found = triggers.lock(session, trigger_id)
    # compared in any case, in constant time: how long it takes says neither what is wrong nor what there is
    right = "" if found is None else triggers.secret_of(app.gate.vault, found[1])
    if not hmac.compare_digest(right.encode(), secret.encode("utf-8", "surrogatepass")) or found is None:
        raise NotAuthenticated(
            "this is not the secret of a trigger at this address",
            remedy="Set the webhook's secret on the Hub to the one that POST /triggers showed.",
        )
    origin, trigger = found
    if not tells_of(payload, trigger.repo_type, trigger.repo):
        return _passed(f"it tells of no change of the files of the {trigger.repo_type} {trigger.repo}")
    if origin.paused_at is not None:
        return _passed("the trigger is paused")
    triggers.hint(session, trigger, app.now())
    topics.tell(session, *topics.has_work("trigger"))
    return {"accepted": True, "message": f"{trigger.repo} is read again in {trigger.debounce_seconds} s"}


def _passed(why: str) -> dict[str, Any]:
    return {"accepted": False, "message": why}
