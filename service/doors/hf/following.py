"""A job's log as the client reads it (huggingface_hub 2.4, `fetch_job_logs`): every connection begins at the first line
and is held until the run has ended, over all of its attempts.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response

from service.api.auth import Viewer
from service.api.logs import MOST_LINES, Follower, Place
from service.api.runs import visible
from service.api.state import App, State
from service.api.streams import frame
from service.domain.log_line import LogLine
from service.domain.moment import iso
from service.doors.hf import place
from service.store.logs import Wanted

router = APIRouter(tags=["runs"], include_in_schema=False)


class JobFollower(Follower):
    """Lines as the Hub frames them. There is no last frame: the client asks for the job once the stream has ended."""

    def __init__(self, app: State, run_id: str, at: Place, tail: int | None) -> None:
        super().__init__(app, run_id, at, goes_on=True, wanted=Wanted(tail=tail, limit=MOST_LINES), is_plain=True)

    def _frame(self, attempt: int, number: int, line: LogLine) -> str:  # noqa: ARG002
        # the client compares times, and reads none but those that end in Z
        at = line.at
        return frame({"timestamp": line.timestamp if at is None else iso(at), "data": line.text})


@router.get("/api/jobs/{namespace}/{job_id}/logs")
def follow_log(
    namespace: str,
    job_id: str,
    caller: Viewer,
    app: App,
    tail: Annotated[int | None, Query(ge=1, le=MOST_LINES)] = None,
) -> Response:
    """All attempts' lines; with `tail`, those of the last one and what follows."""
    with app.gate.db.read() as session:
        place.require(session, app, caller, namespace)
        run = visible(session, caller, job_id)
        begin = Place(1 if tail is None else max(1, run.attempt), 0)
    return app.streams.answer(JobFollower(app, job_id, begin, tail), caller.holder, caller.prove)
