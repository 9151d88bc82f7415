"""Sweeps: the same training at every point of a grid, within one cap."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse, Response
from sqlmodel import Session

from service.api import audited, template
from service.api.auth import Caller, Member, Viewer
from service.api.contract import Routes
from service.api.idempotency import IdempotencyKey as IdempotencyKeyHeader
from service.api.idempotency import created, keyed, replayed
from service.api.pages import After, Limit, Page, decode, page_json, page_of
from service.api.problems import responses
from service.api.state import App, State
from service.api.sweep_points import make_points, refuse_unplaced
from service.api.sweep_schemas import SweepCreate, SweepObject, SweepPatch, SweepTable
from service.api.sweep_table import summary, table
from service.domain.budget import Period
from service.domain.errors import Conflict, IdempotencyConflict, Invalid
from service.domain.money import dollars, to_micro_usd
from service.flow.enqueue import Submitter
from service.store import audit, budgets, idempotency, origins, sweeps, teams
from service.store.budgets import Owner, Terms
from service.store.tables import Budget, IdempotencyKey, Origin, Sweep

router = Routes("sweeps")
KIND = "sweep"


@router.post(
    "/sweeps",
    status_code=201,
    response_model=SweepTable,
    summary="Make a sweep",
    responses=responses(403, 404, 409, 422),
)
def create_sweep(
    body: SweepCreate, caller: Member, app: App, request: Request, idempotency_key: IdempotencyKeyHeader = None
) -> Response:
    """A run for each point, all at once or none: what one of them would be refused for refuses the sweep. They wait in
    the queue as any run does; together they never cost more than `max_cost_usd`, and what one gives back the next may
    use. A point that it does not reach any more is cancelled (`sweep_spent`). While a sweep goes on, its name is taken
    in the team."""
    said = {"sweep": body.model_dump(mode="json")}
    who = keyed(request, app, Submitter(caller.team_or(body.team), caller.name), idempotency_key, said)
    work = partial(_create, body=body, caller=caller, app=app, now=app.now(), who=who)
    made, is_replay = audited.write(app, caller, work, wakes=("prepare", "preflight"))
    return replayed(made, "sweeps") if is_replay else created(made, "sweeps")


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
    """Its cap, how many of its runs are active at once (null: as the limits let), its name. A cap that would not reach
    a point that waits is refused. Members change their own sweeps, leads all of their team's."""
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


def _create(
    session: Session, body: SweepCreate, caller: Caller, app: State, now: datetime, who: Submitter
) -> tuple[dict[str, Any], bool]:
    """The sweep, and whether it is the one of an earlier request under the same key."""
    key = who.idempotency_key
    teams.lock(session, who.team)  # a request that comes twice at once is looked at one after the other
    if key is not None and (found := idempotency.find(session, who.team, key)) is not None:
        audit.leave_out(session)
        return _replayed(session, found, who), True
    refuse_unplaced(body)
    origin = template.create(session, KIND, "swp", body, caller, now)
    if key is not None:
        idempotency.claim(session, who.team, key, who.body_hmac, origin.id, now)
    origin.max_concurrent_runs = body.max_parallel
    budget = _grant(session, origin, to_micro_usd(body.max_cost_usd), caller, now)
    sweep = Sweep(id=origin.id, budget=budget.id)
    if body.early_stopping is not None:
        sweep.factor, sweep.first_evaluation = body.early_stopping.factor, body.early_stopping.first_evaluation
    session.add(sweep)
    session.flush()
    make_points(session, origin, sweep, body, app)
    session.flush()
    return table(session, origin, sweep), False


def _replayed(session: Session, found: IdempotencyKey, who: Submitter) -> dict[str, Any]:
    pair = origins.get(session, Sweep, found.run_id)
    if pair is None or found.body_hmac != who.body_hmac:
        raise IdempotencyConflict(
            f"this Idempotency-Key made {found.run_id} from another body", remedy="Use a new key for a new sweep."
        )
    return table(session, *pair)


def _patch(session: Session, sweep_id: str, body: SweepPatch, caller: Caller, now: datetime) -> dict[str, Any]:
    origin, sweep = _own(session, caller, sweep_id)
    template.rename(session, origin, body.name)
    if "max_parallel" in body.model_fields_set:
        origin.max_concurrent_runs = body.max_parallel
    session.add(origin)
    if body.max_cost_usd is not None:
        _refuse_ending(session, sweep, to_micro_usd(body.max_cost_usd))
        _grant(session, origin, to_micro_usd(body.max_cost_usd), caller, now)
    session.flush()
    return table(session, origin, sweep)


def _refuse_ending(session: Session, sweep: Sweep, limit: int) -> None:
    """Raise Invalid for a cap that would not reach a point that waits: it would be ended for good."""
    spent, need = sweeps.balance(session, sweep).charged, sweeps.dearest_waiting(session, sweep.id)
    if limit < spent + need and need:
        raise Invalid(
            f"{dollars(spent)} are spent, and a point that waits may cost {dollars(need)}",
            field="max_cost_usd",
            remedy=f"Give at least {dollars(spent + need)}; POST /sweeps/{sweep.id}/cancel ends what waits.",
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
