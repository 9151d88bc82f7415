"""What happened: a run's own events, and the feed of all of them, page by page or as a stream."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import JSONResponse, Response

from service.api.auth import Viewer
from service.api.pages import MAX_DIGITS, After, Limit, Page, decode_number, encode, page_json, page_of
from service.api.problems import responses
from service.api.runs import visible
from service.api.schemas import EventObject
from service.api.state import App, State
from service.api.streams import EVENT_STREAM, frame, wants_stream
from service.domain.errors import Invalid
from service.domain.event_pattern import EventPattern
from service.domain.moment import iso
from service.domain.run import RunState
from service.store import events, runs
from service.store.tables import Event

router = APIRouter(tags=["runs"])
PORTION = 500
AS_STREAM: dict[int | str, dict[str, Any]] = {200: {"content": {EVENT_STREAM: {}}}}
LastEventId = Annotated[str | None, Header(description="Go on after this event of a stream")]


class Feed(Page[EventObject]):
    """A page of the feed. `next` is null only where there is nothing yet: from there the feed goes on."""


@router.get(
    "/runs/{run_id}/events",
    response_model=Page[EventObject],
    summary="A run's events",
    responses={**responses(404, 422, 503), **AS_STREAM},
)
def list_events(
    run_id: str,
    request: Request,
    caller: Viewer,
    app: App,
    limit: Limit = 100,
    after: After = None,
    last_event_id: LastEventId = None,
) -> Response:
    """In order; `sequence` has no gaps. `Accept: text/event-stream` streams them as they come, with an event `progress`
    (without an id: only the latest counts) whenever the training has got further, and ends with the run's `end`."""
    start = _start(after, last_event_id)
    with app.gate.db.read() as session:
        visible(session, caller, run_id)
        if wants_stream(request):
            return app.streams.answer(RunFollower(app, run_id, start).look, caller.holder, caller.prove)
        rows = events.of(session, run_id, start, limit + 1)
    shown, has_more, following = page_of(rows, limit, lambda event: event.sequence)
    return JSONResponse(page_json([_event(one) for one in shown], has_more, following))


@router.get(
    "/events",
    response_model=Feed,
    summary="The feed of events",
    responses={**responses(404, 422, 503), **AS_STREAM},
)
def read_feed(
    request: Request,
    caller: Viewer,
    app: App,
    type: Annotated[list[EventPattern], Query(description="As for webhooks; several may be named")] = ["*"],  # noqa: A002, B006 - the parameter's name on the wire; pydantic copies it
    team: Annotated[str | None, Query(description="For admins")] = None,
    latest: Annotated[bool, Query(description="Begin after all that has happened, where no place is given")] = False,
    limit: Limit = 100,
    after: After = None,
    last_event_id: LastEventId = None,
) -> Response:
    """Everything that happened to a team (for admins: to all), in the order of `position`: what webhooks tell, to be
    fetched. `next` is given on the last page too, to ask again from there later; no event appears before it
    afterwards. `Accept: text/event-stream` streams what comes after `after` or `Last-Event-ID`, and does not end."""
    start, mine = _start(after, last_event_id), team if caller.team is None else caller.team_or(team)
    if latest and after is None and last_event_id is None:
        with app.gate.db.read() as session:
            start = events.last_position(session)

    def read(place: int, most: int) -> list[Event]:
        with app.gate.db.read() as session:
            return events.feed(session, place, mine, type, most)

    if wants_stream(request):
        return app.streams.answer(FeedFollower(read, start).look, caller.holder, caller.prove)
    shown, has_more, following = page_of(read(start, limit + 1), limit, _position)
    last = _position(shown[-1]) if shown else start
    return JSONResponse(
        page_json([_event(one) for one in shown], has_more, following or (encode(last) if last else None))
    )


class RunFollower:
    """Looks for a run's next events, and for its progress."""

    def __init__(self, app: State, run_id: str, sequence: int) -> None:
        self._app, self._run_id, self._sequence = app, run_id, sequence
        self._progress: dict[str, Any] | None = None

    def look(self) -> tuple[list[str], bool]:
        """What is new, and whether the run has ended and all is told."""
        with self._app.gate.db.read() as session:
            run = runs.get(session, self._run_id)
            found = events.of(session, self._run_id, self._sequence, PORTION)
        frames = [frame(_event(one), one.sequence) for one in found]
        if found:
            self._sequence = found[-1].sequence
        if run is None:
            return frames, True
        if run.progress is not None and run.progress != self._progress:
            self._progress = run.progress
            frames.append(frame(run.progress, event="progress"))
        is_over = RunState(run.state).is_terminal and len(found) < PORTION
        return [*frames, *([frame({"state": run.state}, event="end")] if is_over else [])], is_over


class FeedFollower:
    """Looks for the feed's next events."""

    def __init__(self, read: Callable[[int, int], list[Event]], position: int) -> None:
        self._read, self._place = read, position

    def look(self) -> tuple[list[str], bool]:
        """What is new; a feed has no end."""
        found = self._read(self._place, PORTION)
        self._place = _position(found[-1]) if found else self._place
        return [frame(_event(one), _position(one)) for one in found], False


def _position(event: Event) -> int:
    assert event.position is not None, "the feed holds stamped events only"
    return event.position


def _start(after: str | None, last_event_id: str | None) -> int:
    if last_event_id is None:
        return decode_number(after)
    if not (last_event_id.isdecimal() and len(last_event_id) <= MAX_DIGITS):
        raise Invalid("no id of an event", field="Last-Event-ID", remedy="Send the id of the last event that came.")
    return int(last_event_id)


def _event(event: Event) -> dict[str, Any]:
    return {
        "id": event.id,
        "position": event.position,
        "sequence": event.sequence,
        "type": event.type,
        "timestamp": iso(event.timestamp),
        "data": event.data,
    }
