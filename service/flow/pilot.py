"""pilot: a child run of a few steps before a run, and what follows for the run from what it measured."""

from __future__ import annotations

from datetime import datetime

import structlog
from sqlmodel import Session

from service.domain.errors import Invalid
from service.domain.money import ceiling, dollars
from service.domain.pilot import TIMEOUT_SECONDS, Measured, Pilot, measured, pilot_recipe
from service.domain.recipe import read
from service.domain.run import Reason, RunState
from service.domain.trl.preset import fill
from service.domain.trl_sft import TrlSft
from service.store import flavors, holds, runs
from service.store.ids import new_id
from service.store.tables import Run

log = structlog.get_logger()


def pilot_of(parent: Run, pilot: Pilot, now: datetime) -> Run:
    """The child run: the parent's own settings for a few steps, at most ten minutes, publishing nothing. Raises Invalid
    for a recipe that knows no steps."""
    recipe, flavor = read(parent.recipe), pilot.flavor or parent.flavor
    if not isinstance(recipe, TrlSft):
        raise Invalid("a script knows no steps", field="pilot", remedy="Pilots are for trl_sft recipes.")
    return Run(
        id=new_id("run", now),
        parent=parent.id,
        kind="pilot",
        team=parent.team,
        state=RunState.QUEUED.value,
        reason=Reason.CHECKING.value,
        message=f"the pilot of {parent.id}; the gates are checked next",
        requested_by=parent.requested_by,
        recipe=fill(pilot_recipe(recipe, pilot), flavor).model_dump(mode="json"),
        flavor=flavor,
        requested_timeout_seconds=TIMEOUT_SECONDS,
        timeout_seconds=TIMEOUT_SECONDS,
        max_cost_micro_usd=parent.max_cost_micro_usd,
        namespace=parent.namespace,
        image=parent.image,
        volumes=parent.volumes,
        resource_group=parent.resource_group,
        env=parent.env,
        secret_names=parent.secret_names,
        sealed_secrets=parent.sealed_secrets,
        priority=parent.priority,
        labels=parent.labels,
        start_before=parent.start_before,
        created_at=now,
    )


def conclude(session: Session, run: Run, child: Run, now: datetime) -> None:
    """Take over what a passed pilot measured: the run's timeout and ceiling follow from it, and where the caller wanted
    to confirm, it waits for an approval with the numbers. A run that its timeout could not hold fails here."""
    attempt = runs.current_attempt(session, child)
    seconds = None if attempt is None or attempt.running_ms is None else attempt.running_ms / 1000
    found = measured(child.progress, seconds)
    steps = _steps(run)
    if found is not None and child.flavor == run.flavor and steps is not None:
        run.pilot = {**(run.pilot or {}), "measured": _shown(found, steps)}
        if not _retime(session, run, found, steps, now):
            return
    if (run.pilot or {}).get("confirm"):
        holds.ask_for_approval(session, run, _question(run), now)
    session.add(run)
    holds.say(session, run)


def _retime(session: Session, run: Run, found: Measured, steps: int, now: datetime) -> bool:
    """False: it has failed, as its own timeout would have cut it off."""
    given = run.requested_timeout_seconds
    expected = found.seconds(steps)
    if given is not None and expected > given:
        session.add(run)
        minutes = round(expected / 60)
        message = f"its pilot says that it takes about {minutes} min, and its timeout is {given // 60} min"
        runs.advance(session, run, RunState.FAILED, now=now, reason=Reason.EXCEEDS_LIMIT, message=message)
        return False
    price = flavors.fresh_price(session, run.flavor, now)
    wanted = found.timeout_seconds(steps)
    run.requested_timeout_seconds = wanted if given is None else min(given, wanted)
    if price is not None:
        run.timeout_seconds = run.requested_timeout_seconds
        run.ceiling_micro_usd = ceiling(price, run.timeout_seconds)
        run.quoted_price_micro_usd = price
    log.info("run_retimed", run_id=run.id, timeout_seconds=run.requested_timeout_seconds)
    return True


def _steps(run: Run) -> int | None:
    asked = run.recipe.get("args", {}).get("max_steps")
    if isinstance(asked, int) and asked > 0:
        return asked
    told = (run.estimate or {}).get("steps")
    return int(told) if told else None


def _shown(found: Measured, steps: int) -> dict[str, float]:
    return {
        "step_seconds": round(found.step_seconds, 4),
        "around_seconds": round(found.around_seconds, 1),
        "steps": steps,
        "expected_minutes": round(found.seconds(steps) / 60, 1),
    }


def _question(run: Run) -> str:
    told = (run.pilot or {}).get("measured")
    most = "" if run.ceiling_micro_usd is None else f", {dollars(run.ceiling_micro_usd)} at the most"
    if told is None:
        return f"its pilot passed, and measured nothing{most}"
    return f"its pilot says about {told['expected_minutes']} min for {told['steps']} steps{most}"
