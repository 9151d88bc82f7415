"""The Idempotency-Key: looked up before anything else about the body is checked, so that a repeat is answered with
its run even where the rules have changed since."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, Request
from fastapi.responses import JSONResponse

from service.api.auth import Member
from service.api.state import App
from service.domain.errors import Invalid
from service.domain.json_text import read_json
from service.flow.enqueue import Submitter, replay
from service.store import idempotency


class Replayed(Exception):
    """This key made a run before; the answer is that run."""

    def __init__(self, run: dict[str, Any]) -> None:
        super().__init__(run["id"])
        self.run = run


def install(app: FastAPI) -> None:
    """Answer repeats."""
    app.add_exception_handler(Replayed, _replayed)


def replayed_response(run: dict[str, Any]) -> JSONResponse:
    """200 with the run that the key made."""
    return JSONResponse(run, 200, headers={"Idempotent-Replayed": "true", "Location": f"/runs/{run['id']}"})


async def submitter(
    request: Request,
    caller: Member,
    app: App,
    idempotency_key: Annotated[
        str | None,
        Header(description="Same key and body: the same run. Scoped to the team. 1 to 255 characters, ASCII"),
    ] = None,
) -> Submitter:
    """Who submits for which team; raises Replayed or IdempotencyConflict where the key was used before."""
    body = read_json(await request.body())
    if (given := len(request.headers.getlist("idempotency-key"))) > 1 or not _is_key(idempotency_key):
        raise Invalid(
            "one Idempotency-Key is 1 to 255 printable ASCII characters"
            + (f", and {given} were sent" if given > 1 else ""),
            field="idempotency-key",
            remedy="Send a UUID, say, a new one for each run that is meant.",
        )
    named = body.get("team")
    team = caller.team_or(named if isinstance(named, str) else None)
    if idempotency_key is None:
        return Submitter(team, caller.name)
    body_hmac = app.gate.vault.body_hmac(body)
    with app.gate.db.read() as session:
        found = idempotency.find(session, team, idempotency_key)
        if found is not None:
            raise Replayed(replay(session, found.run_id, found.body_hmac, body_hmac, app.now()))
    return Submitter(team, caller.name, idempotency_key, body_hmac)


def _is_key(key: str | None) -> bool:
    return key is None or (0 < len(key) <= 255 and key.isascii() and key.isprintable())


async def _replayed(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Replayed)
    return replayed_response(error.run)


SubmitterOf = Annotated[Submitter, Depends(submitter)]
