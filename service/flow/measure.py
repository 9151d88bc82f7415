"""measure: what running jobs use of their machines, read at a low rate; the peaks are kept with the attempt."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial

import structlog
from sqlalchemy import case
from sqlmodel import Session, col

from service.domain.machine import Machine
from service.domain.run import RunState
from service.flow.each import each
from service.flow.gate import Gate, pollable
from service.hub.faults import HubFault
from service.hub.models import MachineUse
from service.store import metrics, runs
from service.store.tables import Attempt, Run

log = structlog.get_logger()

SAMPLED_PER_PASS = 4
# of thousands that run, these may be due
LOOKED_AT = 200
EVERY = timedelta(seconds=60)
# A pilot is short, and its peak is what it is for.
PILOT_EVERY = timedelta(seconds=10)


def run_once(gate: Gate) -> int:
    """Read the use of those jobs that were looked at longest ago; how many told something."""
    now = gate.clock()
    with gate.db.read() as session:
        measured_at = col(Attempt.measured_at)
        which = measured_at.is_(None) | (measured_at <= now - PILOT_EVERY)
        longest_ago = (case((col(Run.kind) == "pilot", 0), else_=1), measured_at.is_not(None), measured_at)
        looked_at = runs.in_states(session, [RunState.RUNNING], LOOKED_AT, which, first=longest_ago)
    running = [pair for pair in looked_at if _is_due(*pair, now)]
    running = pollable(gate, running, lambda pair: pair[0].credentials)
    running.sort(key=lambda pair: pair[1].measured_at or pair[1].admitted_at)
    chosen = running[:SAMPLED_PER_PASS]
    return sum(bool(each("measure", run.id, partial(_sample, gate, run, attempt))) for run, attempt in chosen)


def _is_due(run: Run, attempt: Attempt, now: datetime) -> bool:
    every = PILOT_EVERY if run.kind == "pilot" else EVERY
    return attempt.hub_job_id is not None and (attempt.measured_at is None or now - attempt.measured_at >= every)


def _sample(gate: Gate, run: Run, attempt: Attempt) -> bool:
    assert attempt.hub_job_id is not None
    try:
        use = gate.hub_of(run.credentials).streams.use(run.namespace, attempt.hub_job_id)
    except HubFault as error:
        log.info("use_unavailable", run_id=run.id, problem=error.message)
        use = None
    return gate.write(partial(_note, loaded=attempt, use=use, now=gate.clock()))


def _note(session: Session, loaded: Attempt, use: MachineUse | None, now: datetime) -> bool:
    if (found := runs.lock_submission(session, loaded.run_id, loaded.submission)) is None:
        return False
    _, attempt = found
    attempt.measured_at = now
    if use is not None:
        known = Machine(**(attempt.machine or {}))
        attempt.machine = known.with_sample(
            use.memory_bytes, use.gpu_memory_bytes, use.gpu_memory_total_bytes, use.gpu_utilization
        ).as_json()
        metrics.add_machine(session, attempt, use.as_numbers(), now)
    session.add(attempt)
    return use is not None
