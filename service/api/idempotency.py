"""The Idempotency-Key: it goes before every rule about the body, so that a repeat is answered with its run even where
the rules have changed since. Whoever is refused has their key looked up; whoever is not claims it in the transaction
that makes the run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from typing import Annotated, Any

import structlog
from fastapi import Depends, FastAPI, Header, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.routing import APIRoute
from pydantic import ValidationError
from sqlmodel import Session

from service.api import audited
from service.api.auth import Caller, Member
from service.api.edge import json_body
from service.api.state import State, app_of
from service.domain.access import Scope
from service.domain.errors import Invalid, ServiceError
from service.flow.enqueue import Submitter, replay
from service.store import audit, idempotency

log = structlog.get_logger()


class Replayed(Exception):
    """This key made a run before; the answer is that run."""

    def __init__(self, run: dict[str, Any]) -> None:
        super().__init__(run["id"])
        self.run = run


def install(app: FastAPI) -> None:
    """Answer repeats."""
    app.add_exception_handler(Replayed, _replayed)


async def carried_out(
    app: State, caller: Caller, work: Callable[[Session], tuple[dict[str, Any], bool]], event: str, **told: Any
) -> Response:
    """201 with the run that a work of `enqueue`'s kind has written, 200 where its key did that before. `event` and
    what is `told` go to the log."""
    run, is_replay = await written(app, caller, work, event, **told)
    return replayed(run) if is_replay else created(run)


async def written(
    app: State, caller: Caller, work: Callable[[Session], tuple[dict[str, Any], bool]], event: str, **told: Any
) -> tuple[dict[str, Any], bool]:
    """The run that a work of `enqueue`'s kind has written, durably, and whether its key did that before."""

    def entered(session: Session) -> tuple[dict[str, Any], bool]:
        run, is_replay = work(session)
        by = {} if run["submitted_by"] == run["requested_by"] else {"on_behalf_of": run["requested_by"]}
        audit.about(session, f"/runs/{run['id']}", run["team"], **by)
        if is_replay:
            audit.leave_out(session)
        return run, is_replay

    committed = audited.submit(app, caller, entered, wakes=("prepare", "preflight"), only_adds=True)
    run, is_replay = await asyncio.wrap_future(committed)
    if not is_replay:
        log.info(event, run_id=run["id"], team=run["team"], requested_by=run["requested_by"], **told)
    return run, is_replay


def created(made: dict[str, Any], part: str = "runs") -> JSONResponse:
    """201 with what was made, and its address."""
    return JSONResponse(made, 201, headers={"Location": f"/{part}/{made['id']}"})


def replayed(made: dict[str, Any], part: str = "runs") -> JSONResponse:
    """200 with what the key made before."""
    return JSONResponse(made, 200, headers={"Idempotent-Replayed": "true", "Location": f"/{part}/{made['id']}"})


IdempotencyKey = Annotated[
    str | None,
    Header(description="Same key and body: the same run, for 30 days. Scoped to the team. 1 to 255 characters, ASCII"),
]


class Keyed(APIRoute):
    """A route that makes runs: what its caller would be refused for does not count where their key has made a run."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, and the look-up after a refusal: it raises Replayed or IdempotencyConflict in its place."""
        handle = super().get_route_handler()

        async def handle_keyed(request: Request) -> Response:
            try:
                return await handle(request)
            except (ServiceError, ValidationError, RequestValidationError):
                if (who := getattr(request.state, "submitter", None)) is not None:
                    await run_in_threadpool(_refuse_used, app_of(request), who)
                raise

        return handle_keyed


def _refuse_used(app: State, who: Submitter) -> None:
    if who.idempotency_key is None:
        return
    with app.gate.db.read() as session:
        found = idempotency.find(session, who.team, who.idempotency_key)
        if found is not None:
            raise Replayed(replay(session, found.run_id, found.body_hmac, who.body_hmac, app.now()))


async def submitter(request: Request, caller: Member, idempotency_key: IdempotencyKey = None) -> Submitter:
    """Who submits for which team, with the key that came along."""
    body = await json_body(request)
    named = body.get("team")
    _check(request, idempotency_key)
    who = as_submitter(caller, caller.team_or(named if isinstance(named, str) else None))
    return keyed(request, app_of(request), who, idempotency_key, body)


def as_submitter(caller: Caller, team: str) -> Submitter:
    """A caller who submits for a team."""
    return Submitter(team, caller.name, may_name_others=Scope.RUNS_ON_BEHALF_OF in caller.may)


def keyed(request: Request, app: State, who: Submitter, key: str | None, body: Mapping[str, Any]) -> Submitter:
    """The submitter with the key that came along, for a `Keyed` route."""
    _check(request, key)
    if key is not None:
        who = replace(who, idempotency_key=key, body_hmac=app.gate.vault.body_hmac(body))
    request.state.submitter = who
    return who


def _check(request: Request, key: str | None) -> None:
    if (given := len(request.headers.getlist("idempotency-key"))) > 1 or not _is_key(key):
        raise Invalid(
            "one Idempotency-Key is 1 to 255 printable ASCII characters"
            + (f", and {given} were sent" if given > 1 else ""),
            field="idempotency-key",
            remedy="Send a UUID, say, a new one for each run that is meant.",
        )


def _is_key(key: str | None) -> bool:
    return key is None or (0 < len(key) <= 255 and key.isascii() and key.isprintable())


async def _replayed(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Replayed)
    return replayed(error.run)


SubmitterOf = Annotated[Submitter, Depends(submitter)]
