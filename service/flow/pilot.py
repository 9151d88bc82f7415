"""pilot: a child run of a few steps before a run, and what follows for the run from what it measured."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import structlog
from sqlmodel import Session

from service.domain.admission import effective_timeout
from service.domain.diagnosis import Failure, Retry, failure
from service.domain.errors import Invalid
from service.domain.estimate.card import read_flavor
from service.domain.estimate.cost import cost_of
from service.domain.estimate.duration import Minutes
from service.domain.estimate.wire import cost_json
from service.domain.money import ceiling, dollars
from service.domain.pilot import (
    Pace,
    Pilot,
    gpu_gib,
    is_too_big,
    measured_in,
    memory_told,
    pace_of,
    pace_on,
    pilot_recipe,
    timeout_of,
)
from service.domain.recipe import read
from service.domain.run import Reason, RunState, how_it_ended
from service.domain.trl.preset import fill
from service.domain.trl_sft import TrlSft
from service.flow.cap import own_cap
from service.flow.child import child_of
from service.store import flavors, holds, ledger, runs
from service.store.run_money import money_of
from service.store.tables import Run

log = structlog.get_logger()


def pilot_of(parent: Run, pilot: Pilot, gpu_count: int, now: datetime) -> Run:
    """The child run: the parent's own settings for a few steps, at most ten minutes, publishing nothing, on a flavor
    with so many GPUs. Raises Invalid for a recipe that knows no steps."""
    recipe, flavor = read(parent.recipe), pilot.flavor or parent.flavor
    if not isinstance(recipe, TrlSft):
        raise Invalid("a script knows no steps", field="pilot", remedy="Pilots are for trl_sft recipes.")
    return child_of(
        parent,
        "pilot",
        timeout_of(parent.requested_timeout_seconds),
        now,
        message=f"the pilot of {parent.id}, which is looked at first",
        recipe=fill(pilot_recipe(recipe, pilot), flavor, gpus=gpu_count).model_dump(mode="json"),
        flavor=flavor,
        optimize=parent.optimize,
        force=parent.force,
        max_cost_micro_usd=parent.max_cost_micro_usd,
        image=parent.image,
        guards=parent.guards,
        volumes=parent.volumes,
        env=parent.env,
        secret_names=parent.secret_names,
        sealed_secrets=parent.sealed_secrets,
        secret_refs=parent.secret_refs,
        start_before=parent.start_before,
    )


def conclude(session: Session, run: Run, child: Run, now: datetime) -> None:
    """Take over what a passed pilot measured: time and memory, and the run's timeout and ceiling by them; where the
    caller wanted to confirm, it waits for an approval with the numbers. A run that its flavor, its timeout or its cap
    could not hold fails here."""
    attempt = runs.current_attempt(session, child)
    running = None if attempt is None or attempt.running_ms is None else attempt.running_ms / 1000
    gib = None if attempt is None else gpu_gib(attempt.machine)
    pace, steps = pace_of(child.progress, running), _steps(run)
    if pace is not None and child.flavor != run.flavor:
        pace = pace_on(pace, child.estimate, run.estimate)
    if steps is None:
        pace = None
    run.pilot = {**(run.pilot or {}), "measured": _shown(child, pace, steps, gib)}
    session.add(run)
    refused = _too_big(session, run, child, gib)
    if refused is None and pace is not None and steps is not None:
        refused = _retime(session, run, child, pace, steps, now)
    if refused is not None:
        _fail(session, run, refused, now)
        return
    if gib is not None:
        run.estimate = {**_estimate(run, child), **_memory(session, run, gib)}
    if (run.pilot or {}).get("confirm"):
        holds.ask_for_approval(session, run, _question(run), now)
    session.add(run)
    holds.say(session, run)


def fail_as(session: Session, run: Run, child: Run, now: datetime) -> None:
    """The run fails as its pilot did: by the same cause, with its evidence and remedy, and which run that was."""
    cause = child.failure or failure(Reason(child.reason or Reason.UNKNOWN)).as_json()
    message = f"its pilot {child.id} {how_it_ended(child.state)}: {child.message}"[:500]
    reason = Reason(cause["cause"])
    told = {**cause, "message": message}
    runs.advance(session, run, RunState.FAILED, now=now, reason=reason, message=message, failure=told)


def keep_measured(run: Run, before: Mapping[str, Any] | None) -> None:
    """Put what the pilot measured back into an estimate that was made anew for the same flavor."""
    told = measured_in(run.estimate or {}, before or {}, (run.pilot or {}).get("measured") or {})
    if run.estimate is None or not told:
        return
    run.estimate = {**run.estimate, **told}
    if "minutes" in told and run.quoted_price_micro_usd is not None and run.timeout_seconds is not None:
        run.estimate["cost_usd"] = _cost(told["minutes"], run.quoted_price_micro_usd, run.timeout_seconds)


def _fail(session: Session, run: Run, refused: Failure, now: datetime) -> None:
    message, told = refused.message, refused.as_json()
    runs.advance(session, run, RunState.FAILED, now=now, reason=refused.cause, message=message, failure=told)


def _estimate(run: Run, child: Run) -> dict[str, Any]:
    return {**(run.estimate or {}), "flavor": run.flavor, "measured_by": child.id}


def _cost(minutes: Mapping[str, float], price: int, timeout_seconds: int) -> dict[str, Any] | None:
    return cost_json(cost_of(Minutes(minutes["p50"], minutes["p90"], 0), price, timeout_seconds))


def _memory(session: Session, run: Run, gib: float) -> dict[str, Any]:
    card = read_flavor(flavors.hardware(session, run.flavor) or {}, None).card
    return {"vram_gib": round(gib, 1)} if card is None else memory_told(gib, card.name, card.usable_gib)


def _too_big(session: Session, run: Run, child: Run, gib: float | None) -> Failure | None:
    card = read_flavor(flavors.hardware(session, run.flavor) or {}, None).card
    if gib is None or card is None or run.force or not is_too_big(gib, card.usable_gib):
        return None
    message = f"its pilot {child.id} held {gib:.1f} GiB, and the {card.name} has {card.usable_gib:.1f}"
    remedy = "Submit it anew on a flavor with more GPU memory, or with a smaller batch or max_length."
    return Failure(Reason.DOES_NOT_FIT, message, None, remedy, Retry.CHANGED)


def _retime(session: Session, run: Run, child: Run, pace: Pace, steps: int, now: datetime) -> Failure | None:
    """Timeout, ceiling and expected cost by the measured pace; or why the run could not end in time."""
    price = flavors.fresh_price(session, run.flavor, now)
    most, by = run.requested_timeout_seconds, "its timeout is"
    if most is None:
        if price is None:
            return None  # admission works the timeout out by what the cap pays then
        spent = money_of(ledger.of_run(session, child.id)).charged or 0
        most = max(0, effective_timeout(None, max(0, (own_cap(run) or 0) - spent), price))
        by = "max_cost_usd pays for"
    expected, wanted = pace.seconds(steps), pace.timeout_seconds(steps)
    if expected > most and not run.force:
        took = f"its pilot {child.id} says that it takes about {round(expected / 60)} min"
        remedy = f"Submit it anew with a timeout of {wanted // 60}m and the money for it, or with fewer steps."
        return Failure(Reason.EXCEEDS_LIMIT, f"{took}, and {by} {most // 60} min", None, remedy, Retry.CHANGED)
    run.requested_timeout_seconds = min(most, wanted)
    told_minutes = pace.minutes(steps)
    run.estimate = {**_estimate(run, child), "minutes": told_minutes, "timeout_seconds": wanted}
    if price is not None:
        run.timeout_seconds = run.requested_timeout_seconds
        run.ceiling_micro_usd = ceiling(price, run.timeout_seconds)
        run.quoted_price_micro_usd = price
        run.estimate["cost_usd"] = _cost(told_minutes, price, run.timeout_seconds)
    log.info("run_retimed", run_id=run.id, timeout_seconds=run.requested_timeout_seconds)
    return None


def _steps(run: Run) -> int | None:
    asked = run.recipe.get("args", {}).get("max_steps")
    if isinstance(asked, int) and asked > 0:
        return asked
    told = (run.estimate or {}).get("steps")
    return int(told) if told else None


def _shown(child: Run, pace: Pace | None, steps: int | None, gib: float | None) -> dict[str, Any] | None:
    if pace is None and gib is None:
        return None
    return {
        "flavor": child.flavor,
        "gpu_gib": None if gib is None else round(gib, 1),
        "step_seconds": None if pace is None else round(pace.step_seconds, 4),
        "around_seconds": None if pace is None else round(pace.around_seconds, 1),
        "steps": steps,
        "expected_minutes": None if pace is None or steps is None else pace.minutes(steps)["p50"],
    }


def _question(run: Run) -> str:
    told = (run.pilot or {}).get("measured") or {}
    said = []
    if told.get("expected_minutes") is not None:
        said.append(f"about {told['expected_minutes']} min for {told['steps']} steps")
    if told.get("gpu_gib") is not None:
        said.append(f"{told['gpu_gib']} GiB of GPU memory")
    if run.ceiling_micro_usd is not None:
        said.append(f"{dollars(run.ceiling_micro_usd)} at the most")
    return f"its pilot {'says' if told else 'passed, and measured nothing'}: {', '.join(said)}"
