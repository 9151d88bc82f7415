"""prepare: a script that a run names by its address is fetched and checked before the run can be admitted.

What was fetched is stored with its sha256 and is what runs: the address is never asked again, neither by a restart, nor
by a job. A run that awaits approval is prepared meanwhile, so that whoever approves it sees the script.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import structlog
from pydantic import ValidationError
from sqlmodel import Session

from service.domain import leak
from service.domain.backoff import hub_backoff
from service.domain.clear_text import REMEDY, secret_in
from service.domain.diagnosis import Failure, Retry
from service.domain.errors import BrokenRule
from service.domain.image import image_refusal
from service.domain.recipe import stored, with_source
from service.domain.run import Reason, RunState
from service.flow.each import each
from service.flow.fetch_script import Fetched, ScriptRefused, ScriptUnreachable, fetch
from service.flow.gate import Gate
from service.flow.run_secrets import SecretsLost, values_of
from service.store import runs, scripts
from service.store.tables import Run

log = structlog.get_logger()
BATCH = 20
# With the pauses of `hub_backoff` that is about ten minutes.
MOST_TRIES = 8
CORRECT = "Correct the script or its address, and submit again."


@dataclass(frozen=True)
class Prepared:
    """A recipe with its script in it, and the image that the run is to have."""

    recipe: dict[str, Any]
    image: str | None


Outcome = Fetched | ScriptRefused | ScriptUnreachable


def run_once(gate: Gate) -> int:
    """Fetch what is due, all of it at the same time; how many runs moved on, or ended."""
    with gate.db.read() as session:
        due = scripts.due(session, gate.clock(), BATCH)
    outcomes = asyncio.run(_fetch_all(gate, due)) if due else []
    return sum(
        bool(each("prepare", run.id, partial(_apply, gate, run, outcome)))
        for run, outcome in zip(due, outcomes, strict=True)
    )


def prepare_one(gate: Gate, run: Run) -> bool:
    """Fetch one run's script and store it, fail the run, or say when it is tried again. Whether the run moved on."""
    if run.parked != scripts.PARKED:
        return False
    [outcome] = asyncio.run(_fetch_all(gate, [run]))
    return _apply(gate, run, outcome)


async def _fetch_all(gate: Gate, due: list[Run]) -> list[Outcome]:
    return list(await asyncio.gather(*(_fetch(gate, run) for run in due)))


async def _fetch(gate: Gate, run: Run) -> Outcome:
    try:
        return await fetch(run.recipe["url"], gate.limits.script_allowed_targets)
    except (ScriptRefused, ScriptUnreachable) as error:
        return error
    except Exception as error:  # one address that nobody foresaw must not hold up the others
        log.exception("script_not_fetched", run_id=run.id)
        return ScriptUnreachable(f"the service could not read it ({type(error).__name__})")


def _apply(gate: Gate, run: Run, outcome: Outcome) -> bool:
    now = gate.clock()
    if isinstance(outcome, ScriptUnreachable):
        log.info("script_unreachable", run_id=run.id, problem=str(outcome))
        return gate.write(partial(_again, run_id=run.id, problem=str(outcome), now=now))
    try:
        prepared = (
            _refusal(str(outcome), outcome.remedy) if isinstance(outcome, ScriptRefused) else _check(gate, run, outcome)
        )
    except SecretsLost:  # they were sealed under another key: an admin's task, and none for every second
        log.error("secrets_unreadable", run_id=run.id)
        return gate.write(partial(_again, run_id=run.id, problem="its secrets cannot be read here", now=now))
    if isinstance(prepared, Failure):
        log.info("script_refused", run_id=run.id, problem=prepared.evidence)
        return gate.write(partial(_fail, run_id=run.id, failure=prepared, now=now))
    log.info("script_kept", run_id=run.id, sha256=prepared.recipe["sha256"])
    return gate.write(partial(_keep, run_id=run.id, prepared=prepared))


def _check(gate: Gate, run: Run, fetched: Fetched) -> Prepared | Failure:
    """All rules that a script in `source` is held to when it is sent."""
    secrets = values_of(gate, run)
    if (found := secret_in(fetched.source, leak.secret_parts(secrets.values()))) is not None:
        return _refusal(f"the script {found}", REMEDY)
    try:
        recipe, image = stored(with_source(run.recipe, fetched.source), run.image)
    except ValidationError as error:
        broken = [found.get("ctx", {}).get("error") for found in error.errors()]
        rules = [one for one in broken if isinstance(one, BrokenRule)]
        told = "; ".join(one.rule for one in rules) or "it does not fit the run"
        return _refusal(told, rules[0].remedy if rules else CORRECT)
    if image is not None and (refusal := image_refusal(image, gate.limits.image_allowlist)) is not None:
        return _refusal(f"{refusal}; the script's header asks for it", "Name an image that is allowed in 'image'.")
    return Prepared({**recipe, "url": run.recipe["url"]}, image)


def _refusal(evidence: str, remedy: str = CORRECT) -> Failure:
    message = f"The script at recipe.url cannot run: {evidence}"
    return Failure(Reason.BAD_ARGUMENT, message[:300], evidence[:500], remedy, Retry.CHANGED)


def _keep(session: Session, run_id: str, prepared: Prepared) -> bool:
    if (run := scripts.lock(session, run_id)) is None:
        return False  # cancelled meanwhile, or another process was here first: what it stored is what runs
    scripts.keep(session, run, prepared.recipe, prepared.image)
    return True


def _again(session: Session, run_id: str, problem: str, now: datetime) -> bool:
    if (run := scripts.lock(session, run_id)) is None:
        return False
    tries = run.tries + 1
    if tries >= MOST_TRIES:
        message = f"The script at recipe.url could not be fetched in {tries} tries."
        failure = Failure(Reason.INFRASTRUCTURE, message, problem, "Check the address, and submit again.", Retry.SAME)
        return _end(session, run, failure, now)
    scripts.try_later(session, run, f"its script could not be fetched yet: {problem}", now + hub_backoff(tries))
    return False


def _fail(session: Session, run_id: str, failure: Failure, now: datetime) -> bool:
    run = scripts.lock(session, run_id)
    return run is not None and _end(session, run, failure, now)


def _end(session: Session, run: Run, failure: Failure, now: datetime) -> bool:
    changes: Mapping[str, Any] = {"failure": failure.as_json(), "parked": None}
    return runs.advance(
        session, run, RunState.FAILED, now=now, reason=failure.cause, message=failure.message, **changes
    )
