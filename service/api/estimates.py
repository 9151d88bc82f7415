"""Estimates: what a run would need and cost on every flavor, before anything is submitted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Body, Query
from fastapi.responses import JSONResponse, Response
from pydantic import model_validator

from service.api.auth import Viewer
from service.api.estimate_schemas import EstimateObject
from service.api.examples import RUN_EXAMPLES
from service.api.problems import responses
from service.api.state import App
from service.domain.errors import HubDown, Invalid
from service.domain.estimate.wire import flavor_json
from service.domain.finding import Finding, Verdict
from service.domain.flavor_name import AUTO, FlavorName
from service.domain.money import to_micro_usd
from service.domain.preflight import check_inputs, inputs_in
from service.domain.request import RunRequest
from service.domain.settle import Expect, batch_offers, settle
from service.domain.subject import Fact, Subject
from service.domain.trl.preset import family_in
from service.domain.trl_sft import TrlSft
from service.domain.wanted import wanted_of
from service.flow.facts import gather
from service.flow.foresee import expectation

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
    wanted = wanted_of(request.recipe, request.volumes, request.image)
    known = gather(app.gate, wanted.subjects(), is_step=False)
    if known is None:
        raise HubDown("too few calls are left in Hugging Face's rate limit", remedy="Try again in a few minutes.")
    with app.gate.db.read() as session:
        whose = caller.team or team or request.team or ""
        expect = expectation(session, known, whose, app.now(), request.timeout)
    problems = [one for one in check_inputs(wanted, known) if one.verdict is Verdict.FAILED]
    return JSONResponse(_answer(request, request.recipe, known, expect, problems))


def _answer(
    request: EstimateRequest, recipe: TrlSft, known: Mapping[Subject, Fact], expect: Expect, problems: list[Finding]
) -> dict[str, Any]:
    cap = None if request.max_cost_usd is None else to_micro_usd(request.max_cost_usd)
    model, _ = inputs_in(known)
    family = None if model is None else family_in(model.config)
    settled = settle(recipe, request.flavor, expect, family, request.optimize, cap)
    choice = settled.choice or settled.foresight.choose(request.optimize, cap)
    told = settled.foresight.as_json(None if request.flavor == AUTO else request.flavor)
    told["choice"] = {"flavor": choice.flavor, "reason": choice.reason}
    told["splits"] = [
        {"args": args, **{name: flavor_json(one)[name] for name in ("verdict", "vram_gib")}}
        for args, one in batch_offers(settled, expect)
    ]
    told["warnings"] += [f"{one.message}. {one.remedy}" for one in problems]
    return told | {"recipe": settled.recipe.model_dump(mode="json")}
