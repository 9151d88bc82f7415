"""settle: a job has ended. Its cost is charged, its output verified, its log kept, its run finished: in one
transaction, after everything that has to be asked of Hugging Face has been asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import structlog
from sqlmodel import Session

from service.domain import money, progress
from service.domain.diagnosis import Failure, diagnose, failure
from service.domain.run import Reason, RunState
from service.flow import logs
from service.flow.gate import Gate
from service.hub.faults import HubFault
from service.hub.models import Job, JobPhase, LogLine, RepoState
from service.store import ledger, runs
from service.store.tables import Attempt, Run

log = structlog.get_logger()
MOST_LINES = 20_000
NOT_A_MODEL = frozenset({".gitattributes", "README.md"})


@dataclass(frozen=True)
class Ending:
    """All that was found out about an ended job. `job` None: it is gone from Hugging Face."""

    job: Job | None
    lines: list[LogLine]
    log_is_whole: bool
    output: RepoState | None


def settle_one(gate: Gate, run: Run, attempt: Attempt, job: Job | None) -> bool:
    """Finish a run whose job has ended. Raises HubFault where the output cannot be looked at: then the next pass tries
    again, and the money stays reserved until the outcome is known."""
    lines, is_whole = _log(gate, run, attempt, job)
    output = None
    if job is not None and job.phase is JobPhase.COMPLETED and run.output_repo is not None:
        output = gate.hub.repo_state(run.output_repo)
    ending = Ending(job, lines, is_whole, output)
    moved = gate.db.write(partial(_apply, gate=gate, loaded=attempt, ending=ending, now=gate.clock()))
    if moved:
        log.info("run_settled", run_id=run.id, attempt=attempt.attempt, hub_job_id=attempt.hub_job_id)
    return moved


def _log(gate: Gate, run: Run, attempt: Attempt, job: Job | None) -> tuple[list[LogLine], bool]:
    if job is None or attempt.hub_job_id is None:
        return [], False
    try:
        lines, has_ended = gate.hub.read_log(run.namespace, attempt.hub_job_id, tail=MOST_LINES)
    except HubFault as error:
        # A log that cannot be read must not keep a run from ending.
        log.warning("log_unavailable", run_id=run.id, problem=error.message)
        return [], False
    return logs.masked(lines, logs.secret_values(gate, run)), has_ended and len(lines) < MOST_LINES


def _apply(session: Session, gate: Gate, loaded: Attempt, ending: Ending, now: datetime) -> bool:
    if (found := runs.lock_submission(session, loaded.run_id, loaded.submission)) is None:
        return False
    run, attempt = found
    if run.state not in (RunState.STARTING, RunState.RUNNING):
        return False
    _tell_of_start(session, run, attempt, ending.job, now)
    to, diagnosis = _outcome(run, attempt, ending)
    _charge(session, attempt, ending.job, now)
    attempt.cause = None if diagnosis is None else diagnosis.cause.value
    session.add(attempt)
    logs.keep(session, attempt, ending.lines, ending.log_is_whole)
    if to is RunState.QUEUED:
        return runs.advance(session, run, to, now=now, reason=Reason.NO_CAPACITY, message=_no_capacity(gate))
    return runs.advance(
        session,
        run,
        to,
        now=now,
        reason=None if diagnosis is None else diagnosis.cause,
        message=_message(run, attempt, to) if diagnosis is None else diagnosis.message,
        failure=None if diagnosis is None else diagnosis.as_json(),
        output=_output(gate, run, ending.output) if to is RunState.SUCCEEDED else None,
        progress=_progress(run, ending.lines),
    )


def _tell_of_start(session: Session, run: Run, attempt: Attempt, job: Job | None, now: datetime) -> None:
    """A short job may start and end between two looks: its start is an event of its own all the same."""
    if job is None:
        return
    attempt.started_at = job.started_at or attempt.started_at
    has_run = attempt.started_at is not None or job.phase is JobPhase.COMPLETED
    if has_run and run.state == RunState.STARTING:
        attempt.started_at = attempt.started_at or attempt.scheduled_at or now
        runs.advance(
            session, run, RunState.RUNNING, now=now, message="training", started_at=run.started_at or attempt.started_at
        )


def _charge(session: Session, attempt: Attempt, job: Job | None, now: datetime) -> None:
    """HF's minute rule on finishedAt − startedAt; where HF gives no times, on the bounds that were observed. A job that
    never started costs nothing."""
    attempt.finished_at = now if job is None else job.finished_at or now
    if attempt.started_at is None:
        attempt.running_ms, attempt.minutes, attempt.cost_micro_usd = None, 0, 0
        ledger.release(session, attempt, now)
        return
    exact = None if job is None else job.running_ms
    observed = max(0, round((attempt.finished_at - attempt.started_at).total_seconds() * 1000))
    attempt.running_ms = observed if exact is None else exact
    attempt.metered_source = "observed" if exact is None else "hub"
    attempt.minutes = money.minutes(attempt.running_ms)
    attempt.cost_micro_usd = ledger.settle(session, attempt, attempt.minutes, now)


def _outcome(run: Run, attempt: Attempt, ending: Ending) -> tuple[RunState, Failure | None]:
    """The job's stage decides; a cancel that was asked for here is one only if the stage says so."""
    job = ending.job
    if job is None or job.phase is JobPhase.DELETED:
        return RunState.FAILED, failure(Reason.JOB_VANISHED)
    match job.phase:
        case JobPhase.COMPLETED:
            if run.output_repo is not None and not _has_new_output(attempt, ending.output):
                return RunState.FAILED, failure(Reason.OUTPUT_MISSING, _unchanged(run, ending.output))
            return RunState.SUCCEEDED, None
        case JobPhase.CANCELLED if job.cancel_reason is None and run.cancel_requested_at is not None:
            return RunState.CANCELLED, None
        case JobPhase.CANCELLED if job.cancel_reason is None and attempt.cancel_sent_at is not None:
            return RunState.QUEUED, None  # we gave up waiting for hardware
        case JobPhase.CANCELLED if job.cancel_reason is None:
            return RunState.FAILED, failure(Reason.CANCELLED_OUTSIDE)
    return RunState.FAILED, diagnose(job.message, job.cancel_reason, (line.text for line in ending.lines))


def _has_new_output(attempt: Attempt, output: RepoState | None) -> bool:
    if output is None or output.sha == attempt.output_head:
        return False
    # The Hub begins a repository with a commit of its own: having made one is not having published.
    return any(path not in NOT_A_MODEL for path, _ in output.files)


def _unchanged(run: Run, output: RepoState | None) -> str:
    if output is None:
        return f"{run.output_repo} does not exist, or the job's token may not read it"
    return f"{run.output_repo} holds no new files at commit {output.sha}"


def _output(gate: Gate, run: Run, output: RepoState | None) -> dict[str, Any] | None:
    if run.output_repo is None or output is None:
        return None
    return {
        "repo": run.output_repo,
        "revision": output.sha,
        "url": gate.hub.repo_url(run.output_repo, output.sha),
        "verified": True,
        "files": [{"path": path, "size_bytes": size} for path, size in output.files],
    }


def _progress(run: Run, lines: list[LogLine]) -> dict[str, Any] | None:
    known = progress.read(line.text for line in lines)
    return known.as_json() if known.is_known else run.progress


def _message(run: Run, attempt: Attempt, to: RunState) -> str:
    cost = money.dollars(attempt.cost_micro_usd or 0)
    if to is RunState.CANCELLED:
        return f"cancelled at the request of {run.cancel_requested_by}; it cost {cost}"
    where = f"; the model is in {run.output_repo}" if run.output_repo is not None else ""
    return f"done for {cost}{where}"


def _no_capacity(gate: Gate) -> str:
    hours = gate.limits.max_scheduling.total_seconds() / 3600
    return f"Hugging Face had no such hardware free within {hours:g} h; queued again"
