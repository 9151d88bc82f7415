"""A run's log: read from what is kept, or followed as it grows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

from fastapi import Header, Query, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from service.api.auth import Viewer
from service.api.contract import Routes
from service.api.problems import responses
from service.api.runs import visible
from service.api.state import App, State
from service.api.streams import EVENT_STREAM, Found, frame
from service.api.watch_schemas import LogObject
from service.domain.body import AwareMoment
from service.domain.errors import Invalid, NotFound
from service.domain.log_line import LogLine
from service.domain.run import RunState
from service.store import logs, runs
from service.store.logs import Numbered, Wanted
from service.store.tables import Attempt

router = Routes("runs")

PORTION = 2_000
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
    responses={**responses(404, 422, 503), 200: {"content": {"text/plain": {}, EVENT_STREAM: {}}}},
)
def read_logs(
    run_id: str,
    request: Request,
    caller: Viewer,
    app: App,
    tail: Annotated[int | None, Query(ge=1, le=MOST_LINES, description="Only the last lines")] = None,
    since: Annotated[AwareMoment | None, Query(description="Only lines written at that time or later")] = None,
    contains: Annotated[str | None, Query(max_length=200, description="Only lines with this text in any case")] = None,
    attempt: Annotated[int | None, Query(ge=1, description="Which attempt; the last one if left out")] = None,
    follow: Annotated[bool, Query(description="Go on until the run has ended, as server-sent events")] = False,
    last_event_id: Annotated[str | None, Header(description="Go on after this line of a stream")] = None,
) -> Response:
    """What is kept of it; while the job runs, a few seconds behind it. Secrets are masked. `Accept: text/plain` answers
    the bare lines. A stream's events carry `{number, timestamp, line}` and an id to go on from; the last one is
    `end`, with the run's state."""
    with app.gate.db.read() as session:
        run = visible(session, caller, run_id)
        number = run.attempt if attempt is None else attempt
        if number > run.attempt:
            raise NotFound(f"{run_id} has {run.attempt} attempts", field="attempt")
        wanted = Wanted(since=since, contains=contains, tail=tail, limit=MOST_LINES)
        is_plain = request.headers.get("accept", "").startswith("text/plain")
        if follow:
            place = Place(max(1, number), 0) if last_event_id is None else _place_after(last_event_id)
            wanted = wanted if last_event_id is None else replace(wanted, tail=None)
            follower = Follower(app, run_id, place, attempt is None, wanted, is_plain)
            kind = "text/plain" if is_plain else EVENT_STREAM
            return app.streams.answer(follower, caller.holder, caller.prove, kind)
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


class Follower:
    """Looks for the next lines of a run's log; `goes_on` with the next attempt, where there is one."""

    def __init__(self, app: State, run_id: str, place: Place, goes_on: bool, wanted: Wanted, is_plain: bool) -> None:
        self.topic = run_id
        self._app, self._place = app, place
        self._goes_on, self._wanted, self._is_plain = goes_on, wanted, is_plain

    async def look(self) -> Found:
        """What is new, and whether nothing more is to come; then the last frame says how the run ended."""
        asked = type(self), self._place, self._wanted, self._goes_on, self._is_plain
        frames, place, ended = await self._app.streams.bells.read(self.topic, asked, self._read)
        is_more = place != self._place
        self._place = place
        self._wanted = replace(self._wanted, tail=None)  # of what is there at first only
        return Found(frames, ended is not None, is_more)

    def _read(self) -> tuple[list[str], Place, str | None]:
        at = self._place.attempt
        lines, place, ended = self._next()
        frames = [self._frame(at, number, line) for number, line in lines]
        if ended is not None and not self._is_plain:
            frames.append(frame({"state": ended}, event="end"))
        return frames, place, ended

    def _frame(self, attempt: int, number: int, line: LogLine) -> str:
        if self._is_plain:
            return f"{line.text}\n"
        return frame({"attempt": attempt, **_line_json(number, line)}, f"{attempt}:{number}")

    def _next(self) -> tuple[list[Numbered], Place, str | None]:
        """The next lines, where they lead to, and the run's state where there is nothing more to come."""
        place = self._place
        with self._app.gate.db.read() as session:
            run = runs.get(session, self.topic)
            if run is None:
                return [], place, "gone"
            is_past = run.attempt > place.attempt
            is_over = RunState(run.state).is_terminal or is_past
            kept = session.get(Attempt, (run.id, place.attempt))
            wanted = replace(self._wanted, from_line=place.line, limit=PORTION)
            lines = logs.read(session, run.id, place.attempt, wanted)
        end = 0 if kept is None else kept.log_lines
        # with a filter, lines that are not wanted are passed over as well
        seen = lines[-1][0] + 1 if lines else place.line
        following = seen if len(lines) >= PORTION else max(seen, end)
        if following < end or lines or not is_over:
            return lines, Place(place.attempt, following), None
        if is_past and self._goes_on:
            return lines, Place(place.attempt + 1, 0), None
        return lines, place, run.state


def _place_after(event_id: str) -> Place:
    attempt, _, number = event_id.partition(":")
    if not (attempt.isdecimal() and number.isdecimal() and len(event_id) < 20):
        raise Invalid("no id of a line", field="Last-Event-ID", remedy="Send the id of the last event that came.")
    return Place(int(attempt), int(number) + 1)


def _line_json(number: int, line: LogLine) -> dict[str, str | int]:
    return {"number": number, "timestamp": line.timestamp, "line": line.text}
