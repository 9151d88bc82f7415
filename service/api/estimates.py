"""Estimates: what a run would need and cost on every flavor, before anything is submitted."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from fastapi import Body, Query
from fastapi.responses import JSONResponse, Response
from pydantic import model_validator
from sqlmodel import Session

from service.api.auth import Viewer
from service.api.contract import Routes
from service.api.estimate_schemas import EstimateObject
from service.api.examples import RUN_EXAMPLES
from service.api.idempotency import as_submitter
from service.api.problems import responses
from service.api.state import App, State
from service.domain.errors import HubDown, Invalid
from service.domain.estimate.bounds import Bounds
from service.domain.estimate.wire import flavor_json
from service.domain.finding import Finding, Verdict
from service.domain.flavor_name import AUTO, FlavorName
from service.domain.money import to_micro_usd
from service.domain.pilot import TIMEOUT_SECONDS, Pilot, pilot_recipe
from service.domain.preflight import check_inputs
from service.domain.request import RunRequest
from service.domain.settle import Settled, batch_offers, settle
from service.domain.subject import Fact, Subject
from service.domain.trl.command import as_typed
from service.domain.trl.preset import family_in
from service.domain.trl_sft import TrlSft
from service.domain.wanted import Wanted, wanted_of
from service.flow.facts import gather
from service.flow.foresee import Expectation, expectation, pilot_bound
from service.flow.weigh import weigh
from service.hub.faults import HubFault
from service.store import credentials, flavors

router = Routes("estimates")


class EstimateRequest(RunRequest):
    """The body of POST /runs; what only matters for running may be left out."""

    flavor: FlavorName = AUTO

    @model_validator(mode="after")
    def _fits_together(self) -> EstimateRequest:
        self._refuse_contradictions()
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
    ceiling, the flavor to take, and what would make it fit the one that was asked for. What `POST /runs` would refuse
    is among the `warnings`. Asks the Hub for what is not known yet."""
    if not isinstance(request.recipe, TrlSft):
        raise Invalid(
            "nothing is known of what a script needs", field="recipe.kind", remedy="Estimate trl_sft recipes."
        )
    recipe, wanted = request.recipe, wanted_of(request.recipe, request.volumes, request.image)
    whose = (caller.team_or(request.team) if request.team is not None else caller.team or team) or ""
    with app.gate.db.read() as session:
        _refuse_unknown(session, request)
        own = credentials.get(session, whose)
    known = _gathered(app, None if own is None else own.team, wanted)
    if known is None:
        raise HubDown("too few calls are left in Hugging Face's rate limit", remedy="Try again in a few minutes.")
    with app.gate.db.read() as session:
        expect = expectation(session, known, whose, app.now(), request.timeout)
        submitter, gate = as_submitter(caller, whose), app.gate
        refusals = weigh(session, request, submitter, app.namespace, gate.vault, app.now(), gate.limits)
    problems = [one for one in check_inputs(wanted, known) if one.verdict is Verdict.FAILED]
    told = _answer(request, recipe, expect, problems)
    told["warnings"] += [_refused(one) for one in refusals]
    return JSONResponse(told)


def _gathered(app: State, whose: str | None, wanted: Wanted) -> dict[Subject, Fact] | None:
    """As the tokens see it that a run of the team would use."""
    try:
        return gather(app.gate, whose, wanted.subjects(), is_step=False)
    except HubFault as error:
        raise HubDown(error.message, remedy="An admin or a lead looks at the team's hf-credentials.") from None


def _refused(refusal: Invalid) -> str:
    where = "" if refusal.field is None else f", {refusal.field}"
    return f"POST /runs refuses this ({refusal.code}{where}): {refusal.detail.rstrip('.')}. {refusal.remedy or ''}"


def _refuse_unknown(session: Session, request: EstimateRequest) -> None:
    """Raise UnknownFlavor for the names that POST /runs refuses."""
    if request.flavor != AUTO:
        flavors.refuse_unknown(session, request.flavor, "flavor")
    if request.pilot is not None and request.pilot.flavor not in (None, AUTO):
        flavors.refuse_unknown(session, request.pilot.flavor, "pilot.flavor")


def _answer(request: EstimateRequest, recipe: TrlSft, expect: Expectation, problems: list[Finding]) -> dict[str, Any]:
    family = None if expect.model is None else family_in(expect.model.config)
    bounds = _bounds(request)
    settled = settle(recipe, request.flavor, expect, family, request.optimize, bounds)
    choice = settled.choice or settled.foresight.choose(request.optimize, bounds)
    told = settled.foresight.as_json(None if request.flavor == AUTO else request.flavor)
    told["choice"] = {"flavor": choice.flavor, "reason": choice.reason}
    told["splits"] = [
        {"args": args, **{name: flavor_json(one)[name] for name in ("verdict", "vram_gib")}}
        for args, one in batch_offers(settled, expect)
    ]
    told["pilot"] = None if request.pilot is None else _pilot(request.pilot, settled, expect, family)
    told["warnings"] += [f"{one.message}. {one.remedy}" for one in problems]
    told["command"] = as_typed(settled.recipe, request.output_repo)
    return told | {"recipe": settled.recipe.model_dump(mode="json")}


def _bounds(request: EstimateRequest) -> Bounds:
    cap = None if request.max_cost_usd is None else to_micro_usd(request.max_cost_usd)
    pilot = None if request.pilot is None else pilot_bound(request.pilot.flavor)
    return Bounds(request.timeout, cap, pilot, may_be_short=request.force)


def _pilot(pilot: Pilot, settled: Settled, expect: Expectation, family: str | None) -> dict[str, Any] | None:
    """What the pilot of the body would need and cost on its flavor; null where no flavor is right for it."""
    expect = replace(expect, timeout_seconds=TIMEOUT_SECONDS)
    bounds = Bounds(TIMEOUT_SECONDS, may_be_short=True)
    ahead = settle(pilot_recipe(settled.recipe, pilot), pilot.flavor or settled.flavor, expect, family, bounds=bounds)
    found = ahead.foresight.on(ahead.flavor)
    if found is None:
        return None
    told = flavor_json(found)
    return {name: told[name] for name in ("flavor", "verdict", "message", "vram_gib", "minutes", "cost_usd")} | {
        "max_steps": pilot.max_steps,
        "timeout_seconds": TIMEOUT_SECONDS,
    }
