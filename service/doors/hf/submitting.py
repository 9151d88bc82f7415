"""POST /api/jobs/{namespace}: a job that is asked for becomes a run of the caller's team."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import datetime
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response
from fastapi.security.utils import get_authorization_scheme_param

from service.api.auth import Member
from service.api.edge import json_body
from service.api.idempotency import IdempotencyKey, Keyed, Replayed, as_submitter, keyed, written
from service.api.runs import enqueue_for_team
from service.api.state import App, app_of
from service.domain.request import RunRequest
from service.doors.hf import place
from service.doors.hf.job import id_of, job_of
from service.doors.hf.job_body import JobBody
from service.doors.hf.refusals import in_a_header
from service.doors.hf.request import KEY, KEY_LABEL, asked, is_own_key
from service.flow.enqueue import Submitter


class KeyedJob(Keyed):
    """A route that makes runs, and answers a repeat with the job of the run that its key has made."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, with repeats answered in this door's shape."""
        handle = super().get_route_handler()

        async def handle_keyed(request: Request) -> Response:
            try:
                return await handle(request)
            except Replayed as repeat:
                return _answer(repeat.run, app_of(request).now(), is_replay=True)

        return handle_keyed


router = APIRouter(tags=["runs"], route_class=KeyedJob, include_in_schema=False)


async def job_submitter(
    request: Request, caller: Member, app: App, idempotency_key: IdempotencyKey = None
) -> Submitter:
    """Who submits, with the key that came along: as a header, or as a label where the client can send none."""
    body = await json_body(request)
    secrets = body.get("secrets")
    if isinstance(secrets, dict):  # a key does not enter the job: with another one, it is the same request
        own_key = _shown(request)
        same = {
            name: KEY if isinstance(one, str) and is_own_key(one, own_key) else one for name, one in secrets.items()
        }
        body = {**body, "secrets": same}
    labels = body.get("labels")
    label = labels.get(KEY_LABEL) if isinstance(labels, dict) else None
    key = idempotency_key if idempotency_key is not None else label if isinstance(label, str) else None
    return keyed(request, app, as_submitter(caller, place.team_of(caller)), key, body)


@router.post("/api/jobs/{namespace}")
async def start_job(
    namespace: str,
    job: JobBody,
    submitter: Annotated[Submitter, Depends(job_submitter)],
    caller: Member,
    app: App,
    request: Request,
) -> Response:
    """The run is durable when this answers; what its caller should know of it is told as the client tells warnings."""
    with app.gate.db.read() as session:
        place.require(session, app, caller, namespace)
    found = asked(job, namespace, _shown(request))
    now = app.now()
    work = partial(
        enqueue_for_team, request=RunRequest.model_validate(found.body), submitter=submitter, app=app, now=now
    )
    run, is_replay = await written(app, caller, work, "run_enqueued", door="hf")
    return _answer(run, now, is_replay=is_replay, notes=found.notes)


def _shown(request: Request) -> str:
    """The key or the token that a request brings; empty for a session's."""
    return get_authorization_scheme_param(request.headers.get("authorization"))[1]


def _answer(run: dict[str, Any], now: datetime, *, is_replay: bool, notes: list[str] | None = None) -> Response:
    answer = JSONResponse(job_of(run, now), 200, headers={"Idempotent-Replayed": "true"} if is_replay else {})
    for note in notes or ():
        # a client shows each topic once: each sentence has one of its own
        answer.headers.append("X-HF-Warning", f"tunegate-{id_of(note)[:8]}; {in_a_header(note)}")
    return answer
