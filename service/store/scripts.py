"""Queued runs whose script is still to be fetched: parked, so that admission does not see them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, or_, select

from service.domain.run import Reason, RunState
from service.store import holds, parked, runs
from service.store.tables import Run

PARKED = parked.SCRIPT


def due(session: Session, now: datetime, limit: int) -> list[Run]:
    """Those whose next try has come, oldest first."""
    return list(
        session.exec(
            select(Run)
            .where(
                Run.parked == PARKED,
                Run.state == RunState.QUEUED.value,
                col(Run.cancel_requested_at).is_(None),
                or_(col(Run.not_before).is_(None), col(Run.not_before) <= now),
            )
            .order_by(col(Run.id))
            .limit(limit)
        )
    )


def lock(session: Session, run_id: str) -> Run | None:
    """One of them, held for a change; None where it is none any more."""
    run = runs.lock(session, run_id)
    return run if run is not None and run.parked == PARKED and run.state == RunState.QUEUED else None


def keep(session: Session, run: Run, recipe: Mapping[str, Any], image: str | None) -> None:
    """Store what was fetched. From now on the run waits as any other."""
    run.recipe, run.image = dict(recipe), image
    run.parked, run.not_before, run.tries = None, None, 0
    session.add(run)
    holds.say(session, run)


def try_later(session: Session, run: Run, message: str, at: datetime) -> None:
    """It could not be fetched just now."""
    run.tries += 1
    run.not_before = at
    session.add(run)
    session.flush()
    if holds.reason_of(run) is None:
        runs.explain(session, run, Reason.CHECKING, message)
