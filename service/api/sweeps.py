"""Sweeps: the same training at every point of a grid, within one cap."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response
from sqlmodel import Session

from service.api import audited, template
from service.api.auth import Caller, Member, Viewer
from service.api.pages import After, Limit, Page, decode, page_json, page_of
from service.api.problems import responses
from service.api.state import App, State
from service.api.sweep_schemas import SweepCreate, SweepObject, SweepPatch, SweepTable
from service.api.sweep_table import summary, table
from service.domain.budget import Period
from service.domain.errors import Conflict, Invalid
from service.domain.grid import Values, place_in, unplaced
from service.domain.money import to_micro_usd
from service.domain.placeholders import as_text
from service.domain.recipe import read
from service.domain.trl_sft import TrlSft
from service.flow.origin import Occasion
from service.store import budgets, origins, sweeps
from service.store.budgets import Owner, Terms
from service.store.tables import Budget, Origin, Sweep, SweepPoint

router = APIRouter(tags=["sweeps"])
KIND = "sweep"


@router.post(
    "/sweeps",
    status_code=201,
    response_model=SweepTable,
    summary="Make a sweep",
    responses=responses(403, 404, 409, 422),
)
def create_sweep(body: SweepCreate, caller: Member, app: App) -> Response:
    """A run for each point, all at once or none: what one of them would be refused for refuses the sweep. They wait in
    the queue as any run does; together they never cost more than `max_cost_usd`, and what one gives back the next may
    use. A point that it does not reach any more is cancelled (`sweep_spent`). While a sweep goes on, its name is taken
    in the team: a request that is sent again makes no second one."""
    work = partial(_create, body=body, caller=caller, app=app, now=app.now())
    made = audited.write(app, caller, work, wakes=("prepare", "preflight"))
    return JSONResponse(made, 201, headers={"Location": f"/sweeps/{made['id']}"})


@router.get("/sweeps", response_model=Page[SweepObject], summary="List sweeps", responses=responses(422))
def list_sweeps(caller: Viewer, app: App, limit: Limit = 50, after: After = None) -> Response:
    """The team's, newest first, those that have ended among them; all teams' for admins. Points are told one by one of
    a single sweep only."""
    with app.gate.db.read() as session:
        rows = origins.page(session, Sweep, caller.team, decode(after), limit + 1)
        shown, has_more, following = page_of(rows, limit, lambda pair: pair[0].id)
        data = [summary(session, origin, sweep) for origin, sweep in shown]
    return JSONResponse(page_json(data, has_more, following))


@router.get("/sweeps/{sweep_id}", response_model=SweepTable, summary="Read a sweep", responses=responses(404))
def read_sweep(sweep_id: str, caller: Viewer, app: App) -> Response:
    """With its table: every point, how well it does, what it cost, and which is best."""
    with app.gate.db.read() as session:
        pair = origins.get(session, Sweep, sweep_id)
        return JSONResponse(table(session, *template.seen(caller, pair, KIND, sweep_id)))


@router.patch(
    "/sweeps/{sweep_id}", response_model=SweepTable, summary="Change a sweep", responses=responses(403, 404, 409, 422)
)
def patch_sweep(sweep_id: str, body: SweepPatch, caller: Member, app: App) -> Response:
    """Its cap, how many of its runs are active at once, its name. A cap below what is spent and reserved stops nothing
    that runs: nothing more starts. Members change their own sweeps, leads all of their team's."""

    work = partial(_patch, sweep_id=sweep_id, body=body, caller=caller, now=app.now())
    return JSONResponse(audited.write(app, caller, work, wakes=("admit",)))


@router.post(
    "/sweeps/{sweep_id}/cancel",
    response_model=SweepTable,
    summary="Cancel a sweep",
    responses=responses(403, 404, 409),
)
def cancel_sweep(sweep_id: str, caller: Member, app: App) -> Response:
    """Every run of it that has not ended is cancelled. What has succeeded stays, and the best of it is named."""

    def work(session: Session) -> dict[str, Any]:
        origin, sweep = _own(session, caller, sweep_id)
        if sweep.cancelled_at is None:
            sweeps.cancel(session, origin, sweep, caller.name, app.now())
            session.flush()
        return table(session, origin, sweep)

    return JSONResponse(audited.write(app, caller, work))


def _create(session: Session, body: SweepCreate, caller: Caller, app: State, now: datetime) -> dict[str, Any]:
    for index, values in enumerate(body.asked()):
        for name in values:
            if (remedy := unplaced(body.run, name)) is not None:
                field = f"grid.{name}" if body.points is None else f"points.{index}.{name}"
                raise Invalid(f"nothing in the run takes '{name}'", field=field, remedy=remedy)
    origin = template.create(session, KIND, "swp", body, caller, now)
    origin.max_concurrent_runs = body.max_parallel
    budget = _grant(session, origin, to_micro_usd(body.max_cost_usd), caller, now)
    sweep = Sweep(id=origin.id, budget=budget.id)
    if body.early_stopping is not None:
        sweep.factor, sweep.first_evaluation = body.early_stopping.factor, body.early_stopping.first_evaluation
    session.add(sweep)
    session.flush()
    taken: dict[str, int] = {}
    for number, values in enumerate(body.asked(), 1):
        try:
            run = template.made(session, origin, _occasion(origin, number, values), app)
            _refuse_alike(run, number, taken)
        except Invalid as error:
            error.extra["point"] = {"number": number, "parameters": values}
            raise
        if sweep.factor is not None:
            _refuse_unevaluated(run)
        session.add(SweepPoint(sweep=sweep.id, number=number, run_id=run["id"], parameters=values))
    session.flush()
    return table(session, origin, sweep)


def _patch(session: Session, sweep_id: str, body: SweepPatch, caller: Caller, now: datetime) -> dict[str, Any]:
    origin, sweep = _own(session, caller, sweep_id)
    template.rename(session, origin, body.name)
    origin.max_concurrent_runs = body.max_parallel or origin.max_concurrent_runs
    session.add(origin)
    if body.max_cost_usd is not None:
        _grant(session, origin, to_micro_usd(body.max_cost_usd), caller, now)
    session.flush()
    return table(session, origin, sweep)


def _occasion(origin: Origin, number: int, values: Values) -> Occasion:
    texts = {"point": str(number), "sweep": origin.id, **{name: as_text(value) for name, value in values.items()}}
    recipe = origin.template.get("recipe")
    places = {} if not isinstance(recipe, dict) else {name: place_in(recipe, name) for name in values}
    settled = {place: values[name] for name, place in places.items() if place is not None}
    return Occasion(f"point {number}", texts, settled)


def _refuse_alike(run: dict[str, Any], number: int, taken: dict[str, int]) -> None:
    """Raise Invalid where two points would publish into one repository: the later model would replace the earlier."""
    repo = (run["output"] or {}).get("repo")
    if repo is not None and (other := taken.setdefault(repo, number)) != number:
        raise Invalid(
            f"points {other} and {number} would publish into the same repository",
            field="run.output_repo",
            remedy=f'Write "{repo}-{{{{point}}}}", say: the number of each point is filled in.',
        )


def _refuse_unevaluated(run: dict[str, Any]) -> None:
    recipe = read(run["recipe"])
    if isinstance(recipe, TrlSft) and recipe.flags().get("eval_strategy", "no") == "no":
        raise Invalid(
            "points are compared by the loss of evaluations, and the recipe makes none",
            field="early_stopping",
            remedy='Add "eval": {"steps": 50} to the recipe, or leave early_stopping out.',
        )


def _grant(session: Session, origin: Origin, limit: int, caller: Caller, now: datetime) -> Budget:
    """The sweep's cap. It is there to be spent: nobody is warned on the way."""
    owner, terms = Owner(origin.team, origin=origin.id), Terms(limit, thresholds=())
    return budgets.grant(session, owner, Period.TOTAL, terms, caller.name, now)


def _own(session: Session, caller: Caller, sweep_id: str) -> tuple[Origin, Sweep]:
    """A sweep that is the caller's to change, held; raises NotFound, NotAllowed, and Conflict where it has ended."""
    origin, sweep = template.own(caller, origins.lock(session, Sweep, sweep_id), KIND, sweep_id)
    if sweep.ended_at is not None:
        raise Conflict("the sweep has ended", remedy="Make another one; single points are tried again by /retry.")
    return origin, sweep
