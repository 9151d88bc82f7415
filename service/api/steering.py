"""Steering what waits: pause and resume, approve and refuse, change a queued run, stop a whole team."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated, Any

from fastapi import Body
from fastapi.responses import JSONResponse, Response
from sqlmodel import Session, col

from service.api import audited
from service.api.auth import Admin, Caller, Lead, Member, Viewer
from service.api.contract import Routes
from service.api.problems import responses
from service.api.runs import held, mine, own
from service.api.schemas import RunObject
from service.api.state import App, State
from service.api.steering_schemas import (
    ApprovalRulesObject,
    ApprovalRulesPut,
    Decision,
    PauseObject,
    RunPatch,
    StopObject,
    TeamStop,
)
from service.api.teams import held_team, visible_team
from service.domain.errors import Conflict
from service.domain.money import to_micro_usd, to_usd
from service.domain.run import Reason, RunState
from service.flow import pause
from service.flow.change import change
from service.store import cancels, changes, flavors, holds, organisation, runs
from service.store.describe import describe_run
from service.store.tables import Run, Team

router = Routes("steering")
NEEDED = {"approval": "needed"}
AnyDecision = Annotated[Decision, Body(default_factory=Decision)]


@router.post(
    "/runs/{run_id}/pause", response_model=RunObject, summary="Pause a run", responses=responses(403, 404, 409)
)
def pause_run(run_id: str, caller: Member, app: App) -> Response:
    """One that is queued keeps its place and does not start until it is resumed. The job of one that trains is stopped
    and its money released, where there is a checkpoint to go on from; without one that is refused."""
    return _steer(app, caller, partial(_pause, run_id=run_id, caller=caller, stop=True, now=app.now()))


@router.post(
    "/runs/{run_id}/resume", response_model=RunObject, summary="Resume a run", responses=responses(403, 404, 409)
)
def resume_run(run_id: str, caller: Member, app: App) -> Response:
    """It may start again when its turn comes; where it was training, from its newest checkpoint."""
    return _steer(app, caller, partial(_pause, run_id=run_id, caller=caller, stop=False, now=app.now()))


@router.post(
    "/runs/{run_id}/approve", response_model=RunObject, summary="Approve a run", responses=responses(403, 404, 409, 422)
)
def approve_run(run_id: str, body: AnyDecision, caller: Lead, app: App) -> Response:
    """Let a run through that its team's rules hold."""
    return _steer(app, caller, partial(_approve, run_id=run_id, body=body, caller=caller, now=app.now()))


@router.post(
    "/runs/{run_id}/refuse", response_model=RunObject, summary="Refuse a run", responses=responses(403, 404, 409, 422)
)
def refuse_run(run_id: str, body: AnyDecision, caller: Lead, app: App) -> Response:
    """A run that awaits approval is cancelled with the comment as message. `approval.state` is `refused` at once."""
    return _steer(app, caller, partial(_refuse, run_id=run_id, body=body, caller=caller, now=app.now()))


@router.patch(
    "/runs/{run_id}", response_model=RunObject, summary="Change a queued run", responses=responses(403, 404, 409, 422)
)
def patch_run(run_id: str, body: RunPatch, caller: Member, app: App) -> Response:
    """Flavor, priority, timeout or labels of a run that has not been submitted. It is checked as a new one would be,
    and needs approval again where it has become more expensive or changed its flavor."""
    return _steer(app, caller, partial(_patch, run_id=run_id, body=body, caller=caller, now=app.now()))


@router.post("/teams/{team}/pause", response_model=PauseObject, summary="Pause a team", responses=responses(403, 404))
def pause_team(team: str, caller: Lead, app: App) -> Response:
    """None of its runs starts until it is resumed; those that have started go on."""
    return _steer(app, caller, partial(_pause_team, team=team, caller=caller, stop=True, now=app.now()))


@router.post("/teams/{team}/resume", response_model=PauseObject, summary="Resume a team", responses=responses(403, 404))
def resume_team(team: str, caller: Lead, app: App) -> Response:
    """Its runs start again when their turn comes."""
    return _steer(app, caller, partial(_pause_team, team=team, caller=caller, stop=False, now=app.now()))


@router.post("/queue/pause", response_model=PauseObject, summary="Drain: nothing starts", responses=responses(403))
def pause_queue(caller: Admin, app: App) -> Response:
    """Runs are accepted and wait; those that have started go on."""
    return _steer(app, caller, partial(_pause_queue, caller=caller, stop=True, now=app.now()))


@router.post("/queue/resume", response_model=PauseObject, summary="Let runs start again", responses=responses(403))
def resume_queue(caller: Admin, app: App) -> Response:
    """The end of a drain."""
    return _steer(app, caller, partial(_pause_queue, caller=caller, stop=False, now=app.now()))


@router.post(
    "/teams/{team}/cancel-runs",
    status_code=202,
    response_model=StopObject,
    summary="Kill switch: cancel all runs of a team",
    responses=responses(403, 404, 422),
)
def stop_team(team: str, body: Annotated[TeamStop, Body(default_factory=TeamStop)], caller: Lead, app: App) -> Response:
    """Every run that has not ended, queued or running. With `pause`, nothing starts afterwards either."""
    work = partial(_stop_team, team=team, body=body, caller=caller, now=app.now())
    answer = audited.write(app, caller, work, wakes=("cancel",))
    return JSONResponse(answer, 202)


@router.get(
    "/teams/{team}/approval-rules",
    response_model=ApprovalRulesObject,
    summary="Read what needs approval",
    responses=responses(404),
)
def read_rules(team: str, caller: Viewer, app: App) -> Response:
    """Any rule that applies holds a run."""
    with app.gate.db.read() as session:
        return JSONResponse(_rules_json(visible_team(session, caller, team)))


@router.put(
    "/teams/{team}/approval-rules",
    response_model=ApprovalRulesObject,
    summary="Set what needs approval",
    responses=responses(403, 404, 422),
)
def put_rules(team: str, body: ApprovalRulesPut, caller: Lead, app: App) -> Response:
    """For runs submitted or changed from now on."""
    return _steer(app, caller, partial(_set_rules, team=team, body=body, caller=caller, now=app.now()))


def _steer(app: State, caller: Caller, work: Callable[[Session], dict[str, Any]]) -> Response:
    answer = audited.write(app, caller, work, wakes=("preflight", "admit", "cancel"))
    return JSONResponse(answer)


def _queued(session: Session, caller: Caller, run_id: str) -> Run:
    run = held(session, caller, run_id)
    if run.state != RunState.QUEUED or run.cancel_requested_at is not None:
        raise Conflict(
            f"the run is {run.state}, no longer queued" if run.state != RunState.QUEUED else "the run is being stopped"
        )
    return run


def _pause(session: Session, run_id: str, caller: Caller, stop: bool, now: datetime) -> dict[str, Any]:
    run = own(session, caller, run_id)
    (pause.hold if stop else pause.release)(session, run, caller.name, now)
    return describe_run(session, run, now)


def _approve(session: Session, run_id: str, body: Decision, caller: Caller, now: datetime) -> dict[str, Any]:
    run = _awaiting(session, caller, run_id)
    run.approval, run.approval_by, run.approval_comment = "granted", caller.name, body.comment
    _say(session, run)
    after = {"approval": "granted", "comment": body.comment}
    runs.tell_of_change(session, run, "run.approved", caller.name, NEEDED, after, now)
    return describe_run(session, run, now)


def _refuse(session: Session, run_id: str, body: Decision, caller: Caller, now: datetime) -> dict[str, Any]:
    run = _awaiting(session, caller, run_id)
    run.approval_by, run.approval_comment = caller.name, body.comment
    session.add(run)
    session.flush()
    message = f"refused by {caller.name}" + ("" if body.comment is None else f": {body.comment}")
    cancels.request(session, col(Run.id) == run_id, caller.name, now, Reason.APPROVAL_REFUSED, message)
    session.refresh(run)
    after = {"approval": "refused", "comment": body.comment}
    runs.tell_of_change(session, run, "run.refused", caller.name, NEEDED, after, now)
    return describe_run(session, run, now)


def _awaiting(session: Session, caller: Caller, run_id: str) -> Run:
    run = _queued(session, caller, run_id)
    if run.approval != "needed":
        raise Conflict("the run does not await approval")
    return run


def _patch(session: Session, run_id: str, body: RunPatch, caller: Caller, now: datetime) -> dict[str, Any]:
    run = _queued(session, caller, run_id)
    mine(run, caller)
    change(session, run, body.model_dump(exclude_unset=True), now)
    _say(session, run)
    return describe_run(session, run, now)


def _say(session: Session, run: Run) -> None:
    session.add(run)
    holds.say(session, run)


def _pause_team(session: Session, team: str, caller: Caller, stop: bool, now: datetime) -> dict[str, Any]:
    row = held_team(session, caller, team)
    changes.pause(session, row, caller.name, now, stop)
    return {"paused": stop, "paused_by": row.paused_by}


def _pause_queue(session: Session, caller: Caller, stop: bool, now: datetime) -> dict[str, Any]:
    row = organisation.lock(session)
    changes.pause(session, row, caller.name, now, stop)
    return {"paused": stop, "paused_by": row.paused_by}


def _stop_team(session: Session, team: str, body: TeamStop, caller: Caller, now: datetime) -> dict[str, Any]:
    row = visible_team(session, caller, team)
    stopped = holds.stop_team(session, team, caller.name, now)
    if body.pause:
        row = held_team(session, caller, team)
        changes.pause(session, row, caller.name, now, stop=True)
    return {"runs": stopped, "paused": row.paused_at is not None}


def _set_rules(session: Session, team: str, body: ApprovalRulesPut, caller: Caller, now: datetime) -> dict[str, Any]:
    row = held_team(session, caller, team)
    before = _rules_json(row)
    for flavor in body.flavors:
        flavors.refuse_unknown(session, flavor, "flavors")
    row.approval_rules = {
        "cost_over_micro_usd": None if body.cost_over_usd is None else to_micro_usd(body.cost_over_usd),
        "flavors": sorted(set(body.flavors)),
        "first_run_of_user": body.first_run_of_user,
        "expires_after_seconds": body.expires_after,
    }
    changes.tell(session, row, "approval_rules.changed", caller.name, before, _rules_json(row), now)
    return _rules_json(row)


def _rules_json(team: Team) -> dict[str, Any]:
    rules = holds.rules_of(team)
    return {
        "cost_over_usd": None if rules.cost_over is None else to_usd(rules.cost_over),
        "flavors": sorted(rules.flavors),
        "first_run_of_user": rules.first_run_of_user,
        "expires_after_seconds": rules.expires_after // timedelta(seconds=1),
    }
