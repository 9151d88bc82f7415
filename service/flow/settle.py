"""settle: a job has ended. Its cost is charged, its output verified, its log kept, its run finished: in one
transaction, after everything that has to be asked of Hugging Face has been asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog
from sqlmodel import Session

from service.domain import money
from service.domain.alarm.notes import failure_of
from service.domain.checkpoints import Stored
from service.domain.diagnosis import CANCEL_REASONS, Failure, Seen, diagnose, failure
from service.domain.follow_up import FOLLOW_UPS, failure_in, read_result
from service.domain.guards import CAUSES, Guard
from service.domain.log_line import LogLine
from service.domain.output import Output
from service.domain.run import Reason, RunState
from service.flow import logs, output, pause, repair, rescue, saving
from service.flow.charge import charge
from service.flow.gate import Gate
from service.hub.faults import HubFault, HubRefused, HubUnavailable
from service.hub.models import Job, JobPhase
from service.store import cancels, ledger, runs
from service.store import logs as log_store
from service.store.run_money import money_of
from service.store.tables import Attempt, Run

log = structlog.get_logger()
DIAGNOSED_LINES = 20_000
LOG_PATIENCE = timedelta(minutes=2)
# A job that ended well may have trained nothing of use: its log says so.
USELESS = frozenset({Reason.NAN_LOSS, Reason.DIVERGING})
STAGES = {JobPhase.COMPLETED: "COMPLETED", JobPhase.CANCELLED: "CANCELED", JobPhase.DELETED: "DELETED"}


@dataclass(frozen=True)
class Ending:
    """All that was found out about an ended job, before anything is written. `job` None: it is gone from Hugging Face.
    `refused`: the answer that was given instead of the output repository. `told_at`: when the log told of what the
    diagnosis names, None where that is not known. `guarded`: the line that shows what a guard ended the job for.
    `result`: what a follow-up found."""

    job: Job | None
    output: Output | None
    refused: HubRefused | None
    diagnosis: Failure
    guarded: str | None
    told_at: datetime | None
    result: dict[str, Any] | None
    news: logs.News
    log_is_whole: bool
    stored: Stored | None = None


def settle_one(gate: Gate, run: Run, attempt: Attempt, job: Job | None) -> bool:
    """Finish a run whose job has ended. Raises HubFault where Hugging Face does not answer just now: then the next pass
    tries again, and the money stays reserved until the outcome is known."""
    news, is_whole = _log(gate, run, attempt, job)
    with gate.db.read() as session:
        known = log_store.read(session, run.id, attempt.attempt, log_store.Wanted(tail=DIAGNOSED_LINES))
    lines = [*(line for _, line in known), *news.lines]
    texts = [line.text for line in lines]
    result = read_result(texts) if run.kind in FOLLOW_UPS else None
    diagnosis = failure_in(str(run.kind), result) or _diagnosis(job, texts)
    found, refused = _look_at_output(gate, run, attempt, job, texts)
    ending = Ending(
        job=job,
        output=found,
        refused=refused,
        diagnosis=diagnosis,
        guarded=_guarded(attempt, texts),
        told_at=_told_at(lines, diagnosis.evidence),
        result=result,
        news=news,
        log_is_whole=is_whole,
        stored=saving.look(gate, run),
    )
    moved = gate.write(partial(_apply, gate=gate, loaded=attempt, ending=ending, now=gate.clock()))
    if moved:
        log.info("run_settled", run_id=run.id, attempt=attempt.attempt, hub_job_id=attempt.hub_job_id)
    return moved


def _diagnosis(job: Job | None, texts: list[str]) -> Failure:
    """Why it failed, if it failed. The exit code is in the message: Hugging Face has no field for it."""
    if job is None:
        return failure(Reason.JOB_VANISHED, "404: there is no such job")
    if job.phase is JobPhase.DELETED:
        return failure(Reason.JOB_VANISHED, job.message or "stage: DELETED")
    return diagnose(Seen(texts, None, job.message, job.cancel_reason, STAGES.get(job.phase, "ERROR")))


def _guarded(attempt: Attempt, texts: list[str]) -> str | None:
    """Where a guard ended the job: the line of the log that shows the same, had it gone on to its end."""
    if attempt.stopped_by is None:
        return None
    found = diagnose(Seen(texts, 0, None, None, STAGES[JobPhase.COMPLETED]))
    return found.evidence if found.cause is CAUSES[Guard(attempt.stopped_by)] else None


def _log(gate: Gate, run: Run, attempt: Attempt, job: Job | None) -> tuple[logs.News, bool]:
    """What is left of the ended job's log. One that cannot be read for a while must not keep a run from ending."""
    if job is None or attempt.hub_job_id is None:
        return logs.nothing_new(attempt), False
    is_early = gate.clock() - (job.finished_at or gate.clock()) < LOG_PATIENCE
    try:
        news, is_whole = logs.rest_of_log(gate, run, attempt)
    except HubFault as error:
        if isinstance(error, HubUnavailable) and is_early:
            raise
        log.warning("log_unavailable", run_id=run.id, problem=error.message)
        return logs.nothing_new(attempt), False
    if not is_whole and is_early:
        raise HubUnavailable("its log broke off")
    return news, is_whole


def _told_at(lines: Sequence[LogLine], evidence: str | None) -> datetime | None:
    line = next((line for line in reversed(lines) if evidence and evidence in line.text), None)
    return None if line is None else line.at


def _look_at_output(
    gate: Gate, run: Run, attempt: Attempt, job: Job | None, texts: Sequence[str]
) -> tuple[Output | None, HubRefused | None]:
    has_run = job is not None and (job.phase is JobPhase.COMPLETED or job.started_at is not None)
    if job is None or not has_run or run.output_repo is None:
        return None, None
    try:
        return output.look(gate, run, attempt, job, texts), None
    except HubRefused as error:
        return None, error
    except HubUnavailable:
        # what a job left that did not end well is told where it can be, and kept from nobody
        if job.phase is JobPhase.COMPLETED:
            raise
        return None, None


def _apply(session: Session, gate: Gate, loaded: Attempt, ending: Ending, now: datetime) -> bool:
    if (found := runs.lock_submission(session, loaded.run_id, loaded.submission)) is None:
        return False
    run, attempt = found
    if run.state not in (RunState.STARTING, RunState.RUNNING):
        return False
    _tell_of_start(session, run, attempt, ending.job, now)
    to, diagnosis = _outcome(run, attempt, ending)
    charge(session, attempt, ending.job, now)
    attempt.cause = None if diagnosis is None else diagnosis.cause.value
    attempt.failure = None if diagnosis is None else diagnosis.as_json()
    session.add(attempt)
    saving.note(run, ending.stored, now)
    logs.finish(session, run, attempt, ending.news, ending.log_is_whole, gate.limits.log_bytes, now)
    if to is RunState.QUEUED and not _waited_too_long(gate, attempt):
        return pause.go_back(session, run, attempt, now)
    if to is RunState.QUEUED:
        return runs.advance(session, run, to, now=now, reason=Reason.NO_CAPACITY, message=_no_capacity(gate))
    decision = None if diagnosis is None else repair.decide(session, run, attempt, diagnosis, now)
    if diagnosis is not None and decision is not None and decision.is_made and decision.offer is not None:
        return repair.go_on(session, run, attempt, diagnosis, decision.offer, now)
    moved = runs.advance(
        session,
        run,
        to,
        now=now,
        reason=_reason(run, to) if diagnosis is None else diagnosis.cause,
        message=_message(session, run, to) if diagnosis is None else diagnosis.message,
        failure=None if diagnosis is None or decision is None else decision.told(diagnosis),
        result=ending.result,
        output=_shown(
            gate,
            run,
            ending.output,
            is_due=ending.job is not None and ending.job.phase is JobPhase.COMPLETED,
            is_verified=to is RunState.SUCCEEDED,
        ),
    )
    if moved and to is RunState.FAILED and (why_not := rescue.by_policy(session, run, now)) is not None:
        log.warning("not_rescued", run_id=run.id, problem=why_not)
    elif moved and to is RunState.SUCCEEDED and run.kind == rescue.KIND:
        rescue.conclude(session, run, now)
    return moved


def start(session: Session, run: Run, attempt: Attempt, started_at: datetime, now: datetime) -> bool:
    """starting -> running: from here the minutes cost."""
    attempt.started_at = started_at
    session.add(attempt)
    return runs.advance(
        session, run, RunState.RUNNING, now=now, message="training", started_at=run.started_at or started_at
    )


def _tell_of_start(session: Session, run: Run, attempt: Attempt, job: Job | None, now: datetime) -> None:
    """A short job may start and end between two looks: its start is an event of its own all the same."""
    if job is None:
        return
    attempt.started_at = job.started_at or attempt.started_at
    has_run = attempt.started_at is not None or job.phase is JobPhase.COMPLETED
    if has_run and run.state == RunState.STARTING:
        # one that ran without a time of its start was seen at its end
        start(session, run, attempt, attempt.started_at or job.finished_at or now, now)


def _outcome(run: Run, attempt: Attempt, ending: Ending) -> tuple[RunState, Failure | None]:
    """The job's stage decides; a cancel that was asked for here is one only if the stage says so."""
    job = ending.job
    if job is None:
        return RunState.FAILED, ending.diagnosis
    was_stopped_by_hub = job.cancel_reason in CANCEL_REASONS
    match job.phase:
        case JobPhase.COMPLETED:
            return _verified(run, ending)
        case JobPhase.CANCELLED if not was_stopped_by_hub and run.cancel_requested_at is not None:
            return RunState.CANCELLED, None
        case JobPhase.CANCELLED if not was_stopped_by_hub and attempt.stopped_by is not None:
            return RunState.FAILED, failure_of(attempt.warnings, Guard(attempt.stopped_by), ending.guarded)
        case JobPhase.CANCELLED if not was_stopped_by_hub and attempt.cancel_sent_at is not None:
            return RunState.QUEUED, None  # for a pause, or for want of hardware
        case JobPhase.CANCELLED if not was_stopped_by_hub:
            return RunState.FAILED, failure(Reason.CANCELLED_OUTSIDE, job.message or "stage: CANCELED")
    return RunState.FAILED, ending.diagnosis


def _verified(run: Run, ending: Ending) -> tuple[RunState, Failure | None]:
    if ending.diagnosis.cause in USELESS:
        return RunState.FAILED, ending.diagnosis
    if run.output_repo is None:
        return RunState.SUCCEEDED, None
    if ending.diagnosis.cause is Reason.PUSH_FAILED and not _was_pushed_after_all(ending):
        return RunState.FAILED, ending.diagnosis
    if ending.refused is not None:
        cause = Reason.HUB_AUTH if ending.refused.status == 401 else Reason.HUB_FORBIDDEN
        return RunState.FAILED, failure(cause, f"{run.output_repo} could not be read: {ending.refused.message}")
    assert ending.output is not None, "a job that ended well had its repository looked at"
    if failed := ending.output.failed:
        evidence = "; ".join(check.message for check in failed)
        return RunState.FAILED, failure(Reason.OUTPUT_MISSING, evidence, remedy=failed[0].remedy)
    return RunState.SUCCEEDED, None


def _was_pushed_after_all(ending: Ending) -> bool:
    """Whether the attempt's own, whole model came after the line that tells of a failed push: another try went well."""
    found = ending.output
    if found is None or found.failed or found.made_at is None or ending.told_at is None:
        return False
    return found.made_at > ending.told_at


def _shown(gate: Gate, run: Run, found: Output | None, *, is_due: bool, is_verified: bool) -> dict[str, Any] | None:
    if run.output_repo is None or found is None:
        return None
    if found.revision is None and not is_due:
        return None  # a job that did not end well owes nothing
    return {
        "repo": run.output_repo,
        "revision": found.revision,
        "url": None if found.revision is None else gate.hub.repo_url(run.output_repo, found.revision),
        "verified": is_verified,
        "files": [{"path": file.path, "size_bytes": file.size_bytes} for file in found.files],
        "checks": [check.as_json() for check in found.checks],
    }


def _reason(run: Run, to: RunState) -> Reason | None:
    return cancels.why(run) if to is RunState.CANCELLED else None


def _message(session: Session, run: Run, to: RunState) -> str:
    cost = money.dollars(money_of(ledger.of_run(session, run.id)).charged or 0)
    if to is RunState.CANCELLED:
        return f"{run.cancel_message}; it cost {cost}"
    where = f"; the model is in {run.output_repo}" if run.output_repo is not None else ""
    return f"done for {cost}{where}"


def _waited_too_long(gate: Gate, attempt: Attempt) -> bool:
    """Whether its job was ended for want of hardware, which may have come just before the cancel; else for a pause."""
    scheduled, asked = attempt.scheduled_at, attempt.cancel_sent_at
    return scheduled is not None and asked is not None and asked - scheduled > gate.limits.max_scheduling


def _no_capacity(gate: Gate) -> str:
    hours = gate.limits.max_scheduling.total_seconds() / 3600
    return f"Hugging Face had no such hardware free within {hours:g} h: queued again; another flavor may be free sooner"
