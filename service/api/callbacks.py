"""Where a script's job reports its progress, by the URL that it was given as a secret."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Annotated, Any

from fastapi import Body, Path
from fastapi.responses import Response

from service.api.contract import Routes
from service.api.problems import responses
from service.api.state import App
from service.domain.progress.report import REPORT
from service.flow import callback

router = Routes("runs")


@router.post(
    "/callbacks/{run_id}/{attempt}/{token}",
    status_code=204,
    response_class=Response,
    summary="Report a job's progress",
    responses=responses(404, 422, 429),
)
async def report_progress(
    run_id: str,
    attempt: Annotated[int, Path(ge=1, le=1_000_000)],
    token: str,
    numbers: Annotated[dict[str, Any], Body(examples=[REPORT])],
    app: App,
) -> Response:
    """For the job itself, which finds this URL in its secret `TUNEGATE_CALLBACK_URL`: no key is needed, and it is over
    with the job. Numbers go by the names that a training prints; they come into the run's progress and series within
    seconds."""
    callback.require(app.gate, run_id, attempt, token)
    work = partial(callback.receive, run_id=run_id, attempt_number=attempt, values=numbers, now=app.now())
    await asyncio.wrap_future(app.gate.db.submit(work))
    return Response(status_code=204)
