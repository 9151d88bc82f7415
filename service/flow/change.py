"""change: a queued run becomes another one, as if it had been submitted so."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlmodel import Session

from service.flow.enqueue import refuse_impossible
from service.flow.look_ahead import look_ahead, refuse_short
from service.store import holds, runs, scripts
from service.store.tables import Run


def change(session: Session, run: Run, changes: Mapping[str, Any], now: datetime) -> None:
    """Take over `flavor`, `priority`, `timeout` (seconds) and `labels` where they are given. Raises what `enqueue`
    raises for what can never run; then nothing is changed."""
    before, flavor = run.ceiling_micro_usd, run.flavor
    run.flavor = changes.get("flavor") or run.flavor
    run.labels = changes["labels"] if changes.get("labels") is not None else run.labels
    run.priority = changes["priority"] if changes.get("priority") is not None else run.priority
    if changes.get("timeout") is not None:
        run.requested_timeout_seconds = changes["timeout"]
    if run.flavor != flavor:
        run.estimate = None
    if run.flavor != flavor or changes.get("timeout") is not None:
        if (settled := look_ahead(session, run, now)) is not None:
            refuse_short(run, settled)
        run.checked_at = None  # what it is expected to need is another question now
    refuse_impossible(session, run, now)
    is_dearer = before is None or run.ceiling_micro_usd is None or run.ceiling_micro_usd > before
    if run.flavor != flavor or is_dearer or run.approval == "needed":
        holds.hold_for_approval(session, run, now)
    if run.parked != scripts.PARKED:
        run.parked = None
    runs.line_up(session, run)
    session.add(run)
    if run.approval == "needed":
        runs.tell(session, run, "run.awaiting_approval", now)
