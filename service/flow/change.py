"""change: a queued run becomes another one, as if it had been submitted so."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlmodel import Session

from service.domain import gpus
from service.domain.errors import Invalid
from service.domain.flavor_name import AUTO
from service.domain.pilot import TIMEOUT_SECONDS
from service.domain.recipe import auto_refusal, read
from service.domain.run import RunState
from service.domain.trl.preset import fill
from service.domain.trl_sft import TrlSft
from service.flow.cap import refuse_over_cap
from service.flow.ceiling import refuse_impossible
from service.flow.follow_up import go_along, held_back
from service.flow.look_ahead import look_ahead, refuse_short
from service.store import flavors, holds, parked, runs, terms
from service.store.tables import Run


def change(session: Session, run: Run, changes: Mapping[str, Any], now: datetime) -> None:
    """Take over `flavor`, `priority`, `timeout` (seconds) and `labels` where they are given. Raises what `enqueue`
    raises for what can never run; then nothing is changed. A pilot and follow-ups that wait yet go with its
    flavor."""
    before, flavor, labels = run.ceiling_micro_usd, run.flavor, run.labels
    _take(session, run, changes, now)
    is_dearer = before is None or run.ceiling_micro_usd is None or run.ceiling_micro_usd > before
    if run.flavor != flavor or is_dearer or run.approval == "needed":
        holds.hold_for_approval(session, run, now)
    if run.parked not in parked.FIRST:
        run.parked = None
    runs.line_up(session, run)
    terms.change_labels(session, run.id, labels, run.labels)
    session.add(run)
    if run.approval == "needed":
        runs.tell(session, run, "run.awaiting_approval", now)
    if (pilot := _pilot_on(session, run, flavor)) is not None:
        change(session, pilot, {"flavor": run.flavor}, now)
    if run.flavor != flavor:
        go_along(session, run, now)
        session.add(run)


def is_refused(session: Session, run: Run, changes: Mapping[str, Any], now: datetime) -> bool:
    """Whether a change would be, by the same rules; nothing is changed."""
    try:
        _take(session, Run(**run.model_dump()), changes, now)
    except Invalid:
        return True
    return False


def _take(session: Session, run: Run, changes: Mapping[str, Any], now: datetime) -> None:
    """Give the run its new fields, and what follows for it from them; writes nothing. Raises Invalid."""
    flavor = run.flavor
    _refuse(run, changes)
    run.flavor = changes.get("flavor") or run.flavor
    run.labels = changes["labels"] if changes.get("labels") is not None else run.labels
    run.priority = changes["priority"] if changes.get("priority") is not None else run.priority
    if changes.get("timeout") is not None:
        run.requested_timeout_seconds = changes["timeout"]
    if run.flavor != flavor:
        run.estimate = run.preflight = run.fingerprint = None  # they are of the flavor of before
    run.held_back_micro_usd = held_back(session, run, now)
    refuse_impossible(session, run, now, is_queued=True)
    if run.flavor != flavor or changes.get("timeout") is not None:
        asked = run.flavor
        is_known = _foresee(session, run, now)
        run.checked_at = None  # what it is expected to need is another question now
        if run.flavor != asked:  # `auto` has become one
            refuse_impossible(session, run, now, is_queued=True)
        if is_known:
            refuse_short(run, is_queued=True)
    refuse_over_cap(session, run, is_queued=True)


def _pilot_on(session: Session, run: Run, flavor: str) -> Run | None:
    """The run's pilot, where it is queued and was to run on the flavor that the run had."""
    pilot_id = (run.pilot or {}).get("run_id") if run.flavor != flavor else None
    pilot = None if pilot_id is None else runs.lock(session, pilot_id)
    return pilot if pilot is not None and pilot.state == RunState.QUEUED and pilot.flavor == flavor else None


def _refuse(run: Run, changes: Mapping[str, Any]) -> None:
    """Raise Invalid for what this run cannot be given, whatever it needs."""
    if changes.get("flavor") == AUTO and (refusal := auto_refusal(read(run.recipe))) is not None:
        raise Invalid(refusal[0], field="flavor", remedy="Name a flavor (GET /flavors lists them).")
    if run.kind == "pilot" and (changes.get("timeout") or 0) > TIMEOUT_SECONDS:
        raise Invalid(
            f"a pilot has at most {TIMEOUT_SECONDS // 60} minutes",
            field="timeout",
            remedy=f"Set timeout to {TIMEOUT_SECONDS // 60}m or less.",
        )


def _foresee(session: Session, run: Run, now: datetime) -> bool:
    """What it is expected to need now; False, where nothing is known of the model, and so nothing expected."""
    if look_ahead(session, run, read(run.recipe), now, is_queued=True) is not None:
        return True
    run.estimate = None
    recipe, gpu_count = read(run.recipe), gpus.count(flavors.hardware(session, run.flavor))
    if isinstance(recipe, TrlSft):
        run.recipe = fill(recipe, run.flavor, gpus=gpu_count).model_dump(mode="json")
    return False
