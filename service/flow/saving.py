"""saving: a run's checkpoints. Its bucket is made before its first job, and looked into while a job runs and after it.

What is found becomes the run's (`saved`): the step from which a later attempt goes on, and how much is stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import structlog
from sqlmodel import Session, col

from service.domain import checkpoints
from service.domain.checkpoints import Checkpoint, Stored, are_wanted, bucket_of, flags_for, nothing_saved, stored_in
from service.domain.job import Saving
from service.domain.moment import iso
from service.domain.recipe import read
from service.domain.repair.resume import Rest, rest_of
from service.domain.run import RunState
from service.domain.trl_sft import TrlSft
from service.flow.each import each
from service.flow.gate import Gate, pollable
from service.hub.faults import HubFault, HubRefused
from service.store import runs
from service.store.tables import Attempt, Run

log = structlog.get_logger()
LOOKED_AT_PER_PASS = 4
EVERY, EVERY_AT_FIRST = timedelta(seconds=60), timedelta(seconds=10)


@dataclass(frozen=True)
class Prepared:
    """What a job gets: `saving` None where it keeps no checkpoints, `why_not` where that was not its own wish.
    `resume`: what it goes on from."""

    saving: Saving | None = None
    resume: Checkpoint | None = None
    why_not: str | None = None


def prepare(gate: Gate, run: Run, attempt: Attempt) -> Prepared:
    """Make the bucket of a run that keeps checkpoints, and see from which one this attempt goes on. Raises HubFault:
    HubRefused where checkpoints were asked for and the bucket may not be made."""
    recipe = read(run.recipe)
    if not _is_saving(run, recipe, attempt):
        return Prepared()
    bucket, buckets = bucket_of(run.namespace, run.id), gate.hub_of(run.credentials).buckets
    try:
        buckets.make(bucket)
    except HubRefused as error:
        if run.checkpoints == "on":
            raise
        log.warning("bucket_refused", run_id=run.id, problem=error.message)
        return Prepared(why_not=f"Hugging Face made no bucket for them: {error.message}")
    files = buckets.files(bucket) if attempt.attempt > 1 else None
    newest = stored_in(files or ()).newest
    if not isinstance(recipe, TrlSft):
        return Prepared(Saving(bucket, {}), newest)
    return Prepared(Saving(bucket, flags_for(recipe, run.estimate, newest)), newest)


def take_over(run: Run, attempt: Attempt, prepared: Prepared) -> None:
    """Note what the job is given."""
    attempt.from_step = None if prepared.resume is None else prepared.resume.step
    if prepared.saving is not None:
        run.bucket = prepared.saving.bucket
        run.saved = {**nothing_saved(run.bucket), **(run.saved or {}), "why_not": None}
    elif prepared.why_not is not None:
        run.saved = {**nothing_saved(), "why_not": prepared.why_not}


def run_once(gate: Gate) -> int:
    """Look into the buckets of those running jobs that were looked at longest ago; how many had something new."""
    now, has_bucket = gate.clock(), col(Run.bucket).is_not(None)
    with gate.db.read() as session:
        saving = runs.in_states(session, [RunState.RUNNING], 1000, has_bucket)
    running = [pair for pair in saving if _is_due(pair[0], now)]
    running = pollable(gate, running, lambda pair: pair[0].credentials)
    running.sort(key=lambda pair: (pair[0].saved or {}).get("read_at") or "")
    chosen = running[:LOOKED_AT_PER_PASS]
    return sum(bool(each("saving", run.id, partial(_look_at, gate, run, attempt))) for run, attempt in chosen)


def look(gate: Gate, run: Run) -> Stored | None:
    """What a run's bucket holds; None where it has none, or Hugging Face does not say just now."""
    if run.bucket is None:
        return None
    try:
        return stored_in(gate.hub_of(run.credentials).buckets.files(run.bucket) or ())
    except HubFault as error:
        log.info("bucket_unavailable", run_id=run.id, problem=error.message)
        return None


def note(run: Run, stored: Stored | None, now: datetime) -> bool:
    """Write down what was found; whether that was new."""
    if run.saved is None or stored is None:
        return False
    newest = None if stored.newest is None else {"step": stored.newest.step, "size_bytes": stored.newest.size_bytes}
    found = {"newest": newest, "size_bytes": stored.size_bytes, "has_model": stored.has_model}
    is_new = any(run.saved.get(name) != value for name, value in found.items())
    run.saved = {**run.saved, **found, "read_at": iso(now)}
    return is_new


def newest_of(run: Run) -> Checkpoint | None:
    """The newest whole checkpoint that was seen in a run's bucket."""
    found = (run.saved or {}).get("newest")
    return None if found is None else Checkpoint(found["step"], found["size_bytes"])


def rest_of_run(run: Run, attempt: Attempt) -> Rest | None:
    """What is left of a training whose attempt has ended, from its newest checkpoint on; None without one."""
    if (newest := newest_of(run)) is None:
        return None
    seconds, price = (attempt.running_ms or 0) / 1000, attempt.price_per_minute_micro_usd
    return rest_of(newest, run.progress, seconds, attempt.from_step, price)


def _is_saving(run: Run, recipe: object, attempt: Attempt) -> bool:
    if run.kind is not None or run.checkpoints == "off":
        return False
    if run.bucket is not None:
        return True
    if isinstance(recipe, TrlSft):
        asked: checkpoints.Asked = "on" if run.checkpoints == "on" else "auto"
        return are_wanted(recipe, asked, attempt.timeout_seconds)
    return run.checkpoints == "on"


def _is_due(run: Run, now: datetime) -> bool:
    if (saved := run.saved) is None or run.bucket is None:
        return False
    every = EVERY_AT_FIRST if saved["newest"] is None else EVERY
    return saved["read_at"] is None or now - datetime.fromisoformat(saved["read_at"]) >= every


def _look_at(gate: Gate, run: Run, attempt: Attempt) -> bool:
    return gate.write(partial(_note, loaded=attempt, stored=look(gate, run), now=gate.clock()))


def _note(session: Session, loaded: Attempt, stored: Stored | None, now: datetime) -> bool:
    if (found := runs.lock_submission(session, loaded.run_id, loaded.submission)) is None:
        return False
    run, _ = found
    is_new = note(run, stored, now)
    session.add(run)
    return is_new
