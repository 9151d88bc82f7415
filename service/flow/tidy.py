"""tidy: buckets of checkpoints are deleted: of a success at once, as its model is published and verified; of other runs
after a time, or as a person wants."""

from __future__ import annotations

from datetime import datetime
from functools import partial

import structlog
from sqlmodel import Session

from service.domain.moment import iso
from service.flow.each import each
from service.flow.gate import Gate, pollable
from service.hub.faults import HubFault
from service.store import runs, saved
from service.store.tables import Run

log = structlog.get_logger()
BATCH = 50


def run_once(gate: Gate) -> int:
    """Delete what is due; how many buckets went."""
    now = gate.clock()
    with gate.db.read() as session:
        due = saved.to_delete(session, now - gate.limits.checkpoint_age, BATCH)
    due = pollable(gate, due, lambda run: run.credentials)
    return sum(bool(each("tidy", run.id, partial(_delete, gate, run))) for run in due)


def _delete(gate: Gate, run: Run) -> bool:
    assert run.bucket is not None
    try:
        gate.hub_of(run.credentials).buckets.delete(run.bucket)
    except HubFault as error:
        log.warning("bucket_not_deleted", run_id=run.id, bucket=run.bucket, problem=error.message)
        return False
    log.info("bucket_deleted", run_id=run.id, bucket=run.bucket)
    return gate.write(partial(_gone, run_id=run.id, now=gate.clock()))


def _gone(session: Session, run_id: str, now: datetime) -> bool:
    if (run := runs.lock(session, run_id)) is None or run.bucket is None:
        return False
    run.saved = {**(run.saved or {}), "deleted_at": iso(now), "newest": None, "has_model": False, "size_bytes": 0}
    run.bucket = None
    session.add(run)
    return True
