"""Where the Hub's webhooks point: what they say of a watched repository is taken as a hint."""

from __future__ import annotations

import hmac
from datetime import datetime
from functools import partial
from typing import Annotated, Any

from fastapi import Body, Header
from fastapi.responses import JSONResponse, Response
from sqlmodel import Session

from service.api.contract import Routes
from service.api.problems import responses
from service.api.state import App
from service.api.trigger_schemas import Hinted
from service.domain.errors import NotAuthenticated
from service.domain.hub_hook import tells_of
from service.store import origins, topics, triggers
from service.store.tables import Trigger

router = Routes("triggers")
PAYLOAD = {"event": {"action": "update", "scope": "repo.content"}, "repo": {"type": "dataset", "name": "acme/chats"}}


@router.post(
    "/hooks/hub/{trigger_id}",
    status_code=202,
    response_model=Hinted,
    summary="Hear of a repository's change",
    responses=responses(401, 422, 429),
)
def hear_of_change(
    trigger_id: str,
    payload: Annotated[dict[str, Any], Body(examples=[PAYLOAD])],
    app: App,
    x_webhook_secret: Annotated[str, Header(description="The trigger's secret")] = "",
) -> Response:
    """For the Hub, which sends the trigger's secret: no key is needed. A change of the watched repository's files makes
    it be read again, once its debounce is over; anything else is passed over."""
    with app.gate.db.read() as session:  # the writer is not troubled by strangers
        found = origins.get(session, Trigger, trigger_id)
    # compared in any case, in constant time: how long it takes says neither what is wrong nor what there is
    right = "" if found is None else triggers.secret_of(app.gate.vault, found[1])
    is_right = hmac.compare_digest(right.encode(), x_webhook_secret.encode("utf-8", "surrogatepass"))
    if not is_right or found is None:
        raise NotAuthenticated(
            "this is not the secret of a trigger at this address",
            remedy="Set the webhook's secret on the Hub to the one that POST /triggers showed.",
        )
    origin, trigger = found
    if not tells_of(payload, trigger.repo_type, trigger.repo):
        return _passed(f"it tells of no change of the files of the {trigger.repo_type} {trigger.repo}")
    if origin.paused_at is not None:
        return _passed("the trigger is paused")
    app.gate.db.write(partial(_note, trigger_id=trigger_id, now=app.now()))
    return _heard(True, f"{trigger.repo} is read again in {trigger.debounce_seconds} s")


def _note(session: Session, trigger_id: str, now: datetime) -> None:
    found = origins.lock(session, Trigger, trigger_id)
    if found is not None and found[0].paused_at is None:
        triggers.hint(session, found[1], now)
        topics.tell(session, *topics.has_work("trigger"))


def _passed(why: str) -> Response:
    return _heard(False, why)


def _heard(accepted: bool, message: str) -> Response:
    return JSONResponse({"accepted": accepted, "message": message}, 202)
