"""The queue: in what order runs would start, why one waits, and what would help."""

from __future__ import annotations

from datetime import datetime
from itertools import islice
from typing import Any

from fastapi.responses import JSONResponse, Response
from sqlmodel import Session

from service.api.auth import Viewer
from service.api.contract import Routes
from service.api.pages import After, Limit, Page, decode_number, encode, page_json
from service.api.problems import responses
from service.api.queue_schemas import ExplanationObject, QueueItem
from service.api.runs import visible
from service.api.state import App
from service.domain.gates import Check
from service.domain.moment import iso
from service.flow import explain
from service.store import organisation, queue, runs
from service.store.describe import describe_runs

router = Routes("queue")


@router.get("/queue", response_model=Page[QueueItem], summary="The order in which runs start", responses=responses(422))
def list_queue(caller: Viewer, app: App, limit: Limit = 50, after: After = None) -> Response:
    """First those that may start, with their position over all teams; then those that are held, without one. Members
    see their own team's runs."""
    first, now = decode_number(after), app.now()
    with app.gate.db.read() as session:
        page = _line(session, caller.team, first, limit + 1, now)
        has_more = len(page) > limit
        page = page[:limit]
        found = runs.some(session, [run_id for run_id, _, _ in page])
        shown = {one["id"]: one for one in describe_runs(session, found, now)}
        view = explain.look(session, app.gate.limits.max_concurrent_runs, now)
        is_open = organisation.read(session).paused_at is None
        starts = explain.earliest(view, set(shown), is_open)
    data = [
        {
            "run_id": run_id,
            "team": team,
            "position": place,
            "reason": shown[run_id]["reason"],
            "message": shown[run_id]["message"],
            "earliest_start": iso(starts[run_id]) if run_id in starts else None,
        }
        for run_id, team, place in page
        if run_id in shown
    ]
    return JSONResponse(page_json(data, has_more, encode(first + limit) if has_more else None))


def _line(
    session: Session, team: str | None, skip: int, limit: int, now: datetime
) -> list[tuple[str, str, int | None]]:
    """Runs with their team and position, behind the first few of them: of one team, or of all."""
    line: list[tuple[str, str, int | None]]
    if team is None:
        ordered = enumerate(islice(queue.in_order(session, now), skip + limit), 1)
        so_far = [(run_id, owner, place) for place, (run_id, owner) in ordered]
        line, before = [*so_far[skip:]], len(so_far)
    else:
        ids = queue.of_team(session, team, skip, limit)
        places = queue.positions(session, team, ids, now)
        line = [(run_id, team, places.get(run_id)) for run_id in ids]
        before = skip + len(ids) if ids else queue.ready(session, team)
    if len(line) < limit:
        held = queue.held(session, team, max(0, skip - before), limit - len(line))
        line += [(run_id, owner, None) for run_id, owner in held]
    return line


@router.get(
    "/runs/{run_id}/explain",
    response_model=ExplanationObject,
    summary="Why a run waits, and what would help",
    responses=responses(404),
)
def explain_run(run_id: str, caller: Viewer, app: App) -> Response:
    """Every gate in order with its numbers. `earliest_start` runs the same rules forward, with every active run lasting
    until its timeout and costing its whole ceiling, and nobody submitting anything new: usually it is sooner."""
    with app.gate.db.read() as session:
        run = visible(session, caller, run_id)
        told = explain.explain(session, run, app.gate.limits.max_concurrent_runs, app.now())
        shown = describe_runs(session, [run], app.now())[0]
    return JSONResponse(
        {
            "run_id": run.id,
            "state": run.state,
            "reason": shown["reason"],
            "message": shown["message"],
            "position": told.position,
            "earliest_start": None if told.earliest_start is None else iso(told.earliest_start),
            "gates": [_gate_json(check) for check in told.gates],
            "would_help": [{"change": one.change, "effect": one.effect} for one in told.would_help],
            "assumption": told.assumption,
        }
    )


def _gate_json(check: Check) -> dict[str, Any]:
    return {
        "gate": check.gate,
        "passed": check.passed,
        "reason": check.reason,
        "message": check.message,
        "have": check.have,
        "need": check.need,
        "fits_at": None if check.fits_at is None else iso(check.fits_at),
    }
