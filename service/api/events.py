"""What happened: a run's own events, and the feed of all of them, page by page or as a stream."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Header, Query, Request
from fastapi.responses import JSONResponse, Response

from service.api.auth import Viewer
from service.api.contract import Routes
from service.api.followers import FeedFollower, Interest, RunFollower, event_json, position_of
from service.api.pages import MAX_DIGITS, After, Limit, Page, decode_number, encode, page_json, page_of
from service.api.problems import responses
from service.api.runs import visible
from service.api.schemas import EventObject
from service.api.state import App
from service.api.streams import EVENT_STREAM, wants_stream
from service.domain.errors import Invalid
from service.domain.event_pattern import EventPattern
from service.store import events

router = Routes("runs")
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
            follower = RunFollower(app.gate.db, app.streams.bells, run_id, start)
            return app.streams.answer(follower, caller.holder, caller.prove)
        rows = events.of(session, run_id, start, limit + 1)
    shown, has_more, following = page_of(rows, limit, lambda event: event.sequence)
    return JSONResponse(page_json([event_json(one) for one in shown], has_more, following))


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

    if wants_stream(request):
        wanted = Interest(mine, tuple(type))
        follower = FeedFollower(app.gate.db, app.streams.bells, wanted, start)
        return app.streams.answer(follower, caller.holder, caller.prove)
    with app.gate.db.read() as session:
        rows = events.feed(session, start, mine, type, limit + 1)
    shown, has_more, following = page_of(rows, limit, position_of)
    last = position_of(shown[-1]) if shown else start
    return JSONResponse(
        page_json([event_json(one) for one in shown], has_more, following or (encode(last) if last else None))
    )


def _start(after: str | None, last_event_id: str | None) -> int:
    if last_event_id is None:
        return decode_number(after)
    if not (last_event_id.isdecimal() and len(last_event_id) <= MAX_DIGITS):
        raise Invalid("no id of an event", field="Last-Event-ID", remedy="Send the id of the last event that came.")
    return int(last_event_id)
