"""Estimates: what a run would need and cost on every flavor, before anything is submitted."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Query
from fastapi.responses import JSONResponse, Response
from pydantic import model_validator

from service.api.auth import Viewer
from service.api.estimate_schemas import EstimateObject
from service.api.examples import RUN_EXAMPLES
from service.api.problems import responses
from service.api.state import App
from service.domain.errors import HubDown, Invalid
from service.domain.flavor_name import AUTO, FlavorName
from service.domain.money import to_micro_usd
from service.domain.preflight import Verdict, check_inputs
from service.domain.request import RunRequest
from service.domain.trl.preset import fill
from service.domain.trl_sft import TrlSft
from service.domain.wanted import wanted_of
from service.flow.facts import gather
from service.flow.foresee import foresee_with, inputs_in, inputs_of

router = APIRouter(tags=["estimates"])


class EstimateRequest(RunRequest):
    """The body of POST /runs; what only matters for running may be left out."""

    flavor: FlavorName = AUTO

    @model_validator(mode="after")
    def _fits_together(self) -> EstimateRequest:
        return self


@router.post(
    "/estimates",
    response_model=EstimateObject,
    summary="What a run would need and cost",
    responses=responses(422, 503),
)
def estimate_run(
    request: Annotated[EstimateRequest, Body(openapi_examples=RUN_EXAMPLES)],
    caller: Viewer,
    app: App,
    team: Annotated[str | None, Query(description="For admins: whose finished runs calibrate the time")] = None,
) -> Response:
    """The body of `POST /runs`, nothing stored: whether it fits each flavor, minutes and dollars as p50 and p90, the
    ceiling, the flavor to take, and what would make it fit the one that was asked for. Asks the Hub for what is not
    known yet."""
    if not isinstance(request.recipe, TrlSft):
        raise Invalid(
            "nothing is known of what a script needs", field="recipe.kind", remedy="Estimate trl_sft recipes."
        )
    recipe = fill(request.recipe, request.flavor)
    wanted = wanted_of(recipe)
    known = gather(app.gate, inputs_of(wanted), is_step=False)
    if known is None:
        raise HubDown("too few calls are left in Hugging Face's rate limit", remedy="Try again in a few minutes.")
    cap = None if request.max_cost_usd is None else to_micro_usd(request.max_cost_usd)
    with app.gate.db.read() as session:
        whose = caller.team or team or request.team or ""
        foresight = foresee_with(session, recipe, known, whose, app.now(), request.timeout)
    choice = foresight.choose(request.optimize, cap)
    named = None if request.flavor == AUTO else request.flavor
    told = foresight.as_json(named)
    told["choice"] = {"flavor": choice.flavor, "reason": choice.reason}
    problems = [one for one in check_inputs(wanted, *inputs_in(known)) if one.verdict is Verdict.FAILED]
    told["warnings"] += [f"{one.message}. {one.remedy}" for one in problems]
    told["recipe"] = recipe.model_dump(mode="json")
    return JSONResponse(told)
