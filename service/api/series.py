"""A training's numbers as they came: loss, learning rate, evaluations, and the use of its machine."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Query
from fastapi.responses import JSONResponse, Response
from pydantic import Field

from service.api.auth import Viewer
from service.api.contract import Routes
from service.api.problems import responses
from service.api.runs import visible
from service.api.state import App
from service.api.wire import Wire
from service.domain.errors import NotFound
from service.domain.moment import iso
from service.store import metrics

router = Routes("runs")
Kind = Literal["train", "eval", "summary", "machine"]


class PointObject(Wire):
    """Numbers by the names that the log gives them. `not_finite`: those that were NaN or infinite."""

    kind: Kind
    step: int | None = Field(description="The optimizer step; null where the log does not tell")
    at: str | None
    numbers: dict[str, float]
    not_finite: list[str]


class SeriesObject(Wire):
    """Points in the order in which they came."""

    data: list[PointObject]
    attempt: int


@router.get(
    "/runs/{run_id}/metrics",
    response_model=SeriesObject,
    summary="A training's numbers as a series",
    responses=responses(404, 422),
)
def read_series(
    run_id: str,
    caller: Viewer,
    app: App,
    attempt: Annotated[int | None, Query(ge=1, description="Which attempt; the last one if left out")] = None,
    kind: Annotated[list[Kind], Query(description="Which points; several may be named")] = ["train", "eval", "summary"],  # noqa: B006 - pydantic copies it
    points: Annotated[int, Query(ge=2, le=5_000, description="No more than so many, thinned evenly")] = 1_000,
) -> Response:
    """Loss, learning rate, gradient norm, tokens and evaluations as the training printed them, with step and time. A
    loss of 0 beside a gradient of NaN counts as not finite: transformers prints 0 for NaN. With `kind=machine`, GPU and
    memory use by samples."""
    with app.gate.db.read() as session:
        run = visible(session, caller, run_id)
        number = run.attempt if attempt is None else attempt
        if number > run.attempt:
            raise NotFound(f"{run_id} has {run.attempt} attempts", field="attempt")
        found = metrics.read(session, run_id, number, kind, points)
    data: list[dict[str, Any]] = [
        {
            "kind": point.kind,
            "step": point.step,
            "at": None if point.at is None else iso(point.at),
            "numbers": {name: value for name, value in point.numbers.items() if name != metrics.NOT_FINITE},
            "not_finite": point.numbers.get(metrics.NOT_FINITE, []),
        }
        for point in found
    ]
    return JSONResponse({"data": data, "attempt": number})
