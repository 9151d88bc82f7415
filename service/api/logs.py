"""A run's log: read from what is kept, or followed as it grows."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse

from service.api.auth import Viewer
from service.api.problems import responses
from service.api.runs import visible
from service.api.state import App, State
from service.api.watch_schemas import LogObject
from service.domain.errors import Busy, Invalid, NotFound
from service.domain.log_line import LogLine
from service.domain.run import RunState
from service.store import logs, runs
from service.store.logs import Numbered, Wanted
from service.store.tables import Attempt

router = APIRouter(tags=["runs"])

LOOK_SECONDS = 0.5
KEEP_ALIVE_LOOKS = 30
PORTION = 2_000
MOST_STREAMS = 200
MOST_LINES = 100_000


@dataclass(frozen=True)
class Place:
    """Where a follower is: the attempt, and the number of the next line."""

    attempt: int
    line: int


@router.get(
    "/runs/{run_id}/logs",
    response_model=LogObject,
    summary="A run's log",
    responses={**responses(404, 422, 503), 200: {"content": {"text/plain": {}, "text/event-stream": {}}}},
)
def read_logs(
    run_id: str,
    request: Request,
    caller: Viewer,
    app: App,
    tail: Annotated[int | None, Query(ge=1, le=MOST_LINES, description="Only the last lines")] = None,
    since: Annotated[datetime | None, Query(description="Only lines written at that time or later")] = None,
    contains: Annotated[str | None, Query(max_length=200, description="Only lines with this text in any case")] = None,
    attempt: Annotated[int | None, Query(ge=1, description="Which attempt; the last one if left out")] = None,
    follow: Annotated[bool, Query(description="Go on until the run has ended, as server-sent events")] = False,
    last_event_id: Annotated[str | None, Header(description="Go on after this line of a stream")] = None,
) -> Response:
    """What is kept of it; while the job runs, a few seconds behind it. Secrets are masked. `Accept: text/plain` answers
    the bare lines. A stream's events carry `{number, timestamp, line}` and an id to go on from; the last one is
    `end`, with the run's state."""
    if since is not None and since.tzinfo is None:
        raise Invalid("a time without a zone", field="since", remedy="Write it as 2026-12-01T00:00:00Z.")
    with app.gate.db.read() as session:
        run = visible(session, caller, run_id)
        number = run.attempt if attempt is None else attempt
        if number > run.attempt:
            raise NotFound(f"{run_id} has {run.attempt} attempts", field="attempt")
        wanted = Wanted(since=since, contains=contains, tail=tail, limit=MOST_LINES)
        is_plain = request.headers.get("accept", "").startswith("text/plain")
        if follow:
            return _stream(app, run_id, number, attempt is None, wanted, last_event_id, is_plain)
        lines = logs.read(session, run_id, number, wanted)
        kept = session.get(Attempt, (run_id, number))
    if is_plain:
        return PlainTextResponse("".join(f"{line.text}\n" for _, line in lines))
    return JSONResponse(
        {
            "data": [_line_json(*one) for one in lines],
            "attempt": number,
            "is_kept": kept is not None and kept.finished_at is not None,
            "is_whole": kept is not None and kept.log_state == "whole",
            "state": None if kept is None else kept.log_state,
        }
    )


def _stream(
    app: State, run_id: str, attempt: int, goes_on: bool, wanted: Wanted, after: str | None, is_plain: bool
) -> Response:
    """`goes_on`: with the next attempt, where there is one."""
    if app.streams.is_full(MOST_STREAMS):
        raise Busy("too many streams are open", remedy="Ask with 'tail' instead, or try again later.")
    place = Place(max(1, attempt), 0)
    if after is not None:
        place, wanted = _place_after(after), replace(wanted, tail=None)
    frames = _frames(app, run_id, place, goes_on, wanted, is_plain)
    return StreamingResponse(
        app.streams.counted(frames),
        media_type="text/plain" if is_plain else "text/event-stream",
        headers={"cache-control": "no-store", "x-accel-buffering": "no"},
    )


async def _frames(
    app: State, run_id: str, place: Place, goes_on: bool, wanted: Wanted, is_plain: bool
) -> AsyncIterator[str]:
    quiet = 0
    while True:
        lines, place, ended = await run_in_threadpool(_look, app, run_id, place, goes_on, wanted)
        wanted = replace(wanted, tail=None)  # of what is there at first only
        for attempt, (number, line) in lines:
            yield f"{line.text}\n" if is_plain else _event(attempt, number, line)
        if ended is not None:
            if not is_plain:
                yield f"event: end\ndata: {json.dumps({'state': ended})}\n\n"
            return
        quiet = 0 if lines else quiet + 1
        if quiet and quiet % KEEP_ALIVE_LOOKS == 0 and not is_plain:
            yield ": keep-alive\n\n"
        if not lines:
            await asyncio.sleep(LOOK_SECONDS)


def _look(
    app: State, run_id: str, place: Place, goes_on: bool, wanted: Wanted
) -> tuple[list[tuple[int, Numbered]], Place, str | None]:
    """The next lines, where they lead to, and how the run ended where there is nothing more to come."""
    with app.gate.db.read() as session:
        run = runs.get(session, run_id)
        if run is None:
            return [], place, "gone"
        is_past = run.attempt > place.attempt
        is_over = RunState(run.state).is_terminal or is_past
        kept = session.get(Attempt, (run_id, place.attempt))
        lines = logs.read(session, run_id, place.attempt, replace(wanted, from_line=place.line, limit=PORTION))
    found = [(place.attempt, one) for one in lines]
    end = 0 if kept is None else kept.log_lines
    # with a filter, lines that are not wanted are passed over as well
    seen = lines[-1][0] + 1 if lines else place.line
    following = seen if len(lines) >= PORTION else max(seen, end)
    if following < end or lines or not is_over:
        return found, Place(place.attempt, following), None
    if is_past and goes_on:
        return found, Place(place.attempt + 1, 0), None
    return found, place, run.state


def _event(attempt: int, number: int, line: LogLine) -> str:
    data = json.dumps({"attempt": attempt, **_line_json(number, line)})
    return f"id: {attempt}:{number}\ndata: {data}\n\n"


def _place_after(event_id: str) -> Place:
    attempt, _, number = event_id.partition(":")
    if not (attempt.isdecimal() and number.isdecimal() and len(event_id) < 20):
        raise Invalid("no id of a line", field="Last-Event-ID", remedy="Send the id of the last event that came.")
    return Place(int(attempt), int(number) + 1)


def _line_json(number: int, line: LogLine) -> dict[str, str | int]:
    return {"number": number, "timestamp": line.timestamp, "line": line.text}
