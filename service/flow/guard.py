"""guard: trainings that go wrong while they cost money are told of, and ended where their runs want that."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial

import structlog
from sqlmodel import Session, col

from service.domain.alarm import Watched, alarms
from service.domain.alarm.notes import Note, is_old, news, noted, stopper
from service.domain.guards import Guard
from service.domain.money import MICRO
from service.domain.progress import Reader
from service.domain.run import RunState
from service.flow.each import each
from service.flow.gate import Gate
from service.flow.progress import hints_of
from service.hub.faults import HubFault
from service.store import runs
from service.store.tables import Attempt, Run

log = structlog.get_logger()
BATCH = 20_000
# A silence is looked into before it is told of: what Hugging Face has of the log's end.
TAIL, SILENCE_SECONDS, MAX_SECONDS = 50, 1.5, 10.0


def run_once(gate: Gate) -> int:
    """Look at every running job's training; of how many there was something new."""
    with gate.db.read() as session:
        has_said_something = (col(Attempt.log_lines) > 0) | (col(Attempt.metric_points) > 0)
        running = runs.in_states(session, [RunState.RUNNING], BATCH, has_said_something)
    return sum(bool(each("guard", run.id, partial(guard_one, gate, run, attempt))) for run, attempt in running)


def guard_one(gate: Gate, run: Run, attempt: Attempt) -> bool:
    """Whether anything is told of this attempt that was not told before."""
    now = gate.clock()
    if attempt.started_at is None or attempt.reading is None or attempt.stopped_by is not None:
        return False
    reader = Reader.from_json(attempt.reading, hints_of(run))
    found = [one for one in alarms(_watched(run, attempt, reader), now) if run.guards[one.guard] != "off"]
    if not found and not attempt.warnings:
        return False
    found = [one for one in found if one.guard is not Guard.STALL or _is_still(gate, run, attempt, reader, now)]
    notes = noted(attempt.warnings, found, run.guards, now)
    if notes == attempt.warnings:
        return False
    return gate.write(partial(_apply, loaded=attempt, notes=notes, now=now))


def _watched(run: Run, attempt: Attempt, reader: Reader) -> Watched:
    assert attempt.started_at is not None
    cost = (run.estimate or {}).get("cost_usd")
    return Watched(
        reader,
        attempt.started_at,
        attempt.timeout_seconds,
        attempt.price_per_minute_micro_usd,
        None if cost is None else round(cost["p90"] * MICRO),
    )


def _is_still(gate: Gate, run: Run, attempt: Attempt, reader: Reader, now: datetime) -> bool:
    """Whether Hugging Face has nothing newer either: it may be the way here that is broken. One that was noted is asked
    about again only now and then."""
    known = next((note for note in attempt.warnings if note["guard"] == Guard.STALL), None)
    if known is not None and known["ended_at"] is None and not is_old(known, now):
        return True
    if attempt.hub_job_id is None:
        return False
    try:
        hub = gate.hub_of(run.credentials)
        if not hub.governor.may_poll(now):
            return False
        lines, _ = hub.streams.log(
            run.namespace, attempt.hub_job_id, tail=TAIL, silence_seconds=SILENCE_SECONDS, max_seconds=MAX_SECONDS
        )
    except HubFault as error:
        log.info("log_unavailable", run_id=run.id, problem=error.message)
        return False
    latest = Reader()
    latest.read(lines)
    return latest.active_at is None or reader.active_at is None or latest.active_at <= reader.active_at


def _apply(session: Session, loaded: Attempt, notes: Sequence[Note], now: datetime) -> bool:
    if (pair := runs.lock_submission(session, loaded.run_id, loaded.submission)) is None:
        return False
    run, attempt = pair
    if run.state != RunState.RUNNING or run.cancel_requested_at is not None:
        return False
    told = news(attempt.warnings, notes)
    attempt.warnings = list(notes)
    attempt.stopped_by = stopper(notes)
    session.add(attempt)
    session.flush()
    lasting = {note["guard"]: note["message"] for note in notes if note["ended_at"] is None}
    worst = next((lasting[guard] for guard in Guard if guard in lasting), "training")
    stops = " The job is being stopped." if attempt.stopped_by is not None else ""
    runs.explain(session, run, None, f"{worst}{stops}")
    for note in told:
        runs.tell(session, run, "run.warning", now, warning=note)
        log.warning("run_warning", run_id=run.id, guard=note["guard"], policy=note["policy"])
    return True
