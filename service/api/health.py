"""Liveness and readiness. Neither needs a key, so neither says anything about teams or runs."""

from __future__ import annotations

import asyncio
from datetime import datetime
from functools import partial
from typing import Any

import structlog
from fastapi.responses import JSONResponse, Response
from sqlalchemy import func
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session, col, select

from service.api.contract import Routes
from service.api.schemas import Readiness
from service.api.state import App, State
from service.domain.run import RunState
from service.flow.apart import apart
from service.store import flavors
from service.store.tables import Run

log = structlog.get_logger()
router = Routes("health")


# Who asks whether this replica is well does not wait long for the answer.
LOOK_SECONDS = 3.0


@router.get("/healthz", summary="The process is alive")
async def healthz() -> dict[str, str]:
    """Answers as long as the process does, whatever its other requests wait for."""
    return {"status": "ok"}


@router.get(
    "/readyz", response_model=Readiness, summary="Requests can be served", responses={503: {"model": Readiness}}
)
async def readyz(app: App) -> Response:
    """Ready when the database answers, within three seconds: then runs can be accepted, whatever else is down. `checks`
    tells the rest."""
    try:
        looked = asyncio.wrap_future(apart(partial(_look, app), "readyz"))
        checks = await asyncio.wait_for(looked, LOOK_SECONDS)
    except (SQLAlchemyError, TimeoutError) as error:
        log.warning("database_unreachable", problem=str(error).partition("\n")[0] or "no answer")
        return JSONResponse({"ready": False, "checks": {"database": "unreachable", "leads": app.is_leading()}}, 503)
    if app.gate.hub.trouble is not None:
        checks["hub"] = app.gate.hub.trouble
    governor = app.gate.hub.governor
    if governor.limit is not None:
        checks["hub_calls"] = {
            "left": governor.left(app.now()),
            "limit": governor.limit,
            "lists_every_seconds": round(governor.list_seconds(app.now()), 1),
        }
    checks |= {"leads": app.is_leading(), "step_ages_seconds": app.ages()}
    return JSONResponse({"ready": True, "checks": checks})


def _look(app: State) -> dict[str, Any]:
    with app.gate.db.read() as session:
        return _checks(session, app.now())


def _checks(session: Session, now: datetime) -> dict[str, Any]:
    queued = session.exec(
        select(func.count(), func.min(Run.created_at)).where(col(Run.state) == RunState.QUEUED.value)
    ).one()
    read_at = flavors.last_read(session)
    return {
        "database": "ok",
        "prices_age_seconds": None if read_at is None else round((now - read_at).total_seconds()),
        "hub": "unknown" if read_at is None else "ok" if now - read_at < flavors.MAX_PRICE_AGE else "stale",
        "queued_runs": queued[0],
        "oldest_queued_seconds": None if queued[1] is None else round((now - queued[1]).total_seconds()),
    }
