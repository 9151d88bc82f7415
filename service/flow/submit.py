"""submit: an admitted run becomes a job, by one create call.

The order makes a crash harmless. The intent is committed by `admit`; here the call is claimed (who makes it, until
when), then made, then its outcome applied. A process that dies in between leaves a claim without an outcome, and
`recover` finds the job by its label or proves that there is none.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

import structlog
from sqlmodel import Session, col

from service.domain import job, leak
from service.domain.backoff import hub_backoff
from service.domain.diagnosis import Failure, failure
from service.domain.mask import mask
from service.domain.moment import second
from service.domain.run import Reason, RunState
from service.flow import callback, saving
from service.flow.each import beside
from service.flow.gate import Gate
from service.flow.job_spec import spec_of
from service.flow.preflight import is_pinned
from service.flow.run_secrets import SecretsLost
from service.hub.client import HubClient
from service.hub.faults import HubFault, HubRefused, HubUnavailable, HubUnclear
from service.hub.models import Job
from service.store import cancels, flavors, holds, ledger, runs
from service.store.tables import Attempt, Run

log = structlog.get_logger()
MOST = 20_000
BATCH = 50  # create calls in one pass
LONGEST_CLAIM_SECONDS = 5.0
NO_BUCKET = "Have the jobs' token allowed to make buckets in the namespace, or set checkpoints to 'off'."
NOT_PREPARED = HubUnavailable("the service could not prepare the job: its log says why")
SWEEP_FIRST = "the service has just started: it first looks for jobs that its database may have forgotten"
NO_CALLS_LEFT = "the calls to Hugging Face of these minutes are used up, but for cancels: its job is made in the next"
LOST_ANSWER = "no clear answer to the create call: looking for the job by its label, its money stays reserved"

# What a definite refusal of the create call means for the run. 429 and a refused connection pass by themselves.
REFUSALS = {
    400: Reason.BAD_ARGUMENT,
    401: Reason.HUB_AUTH,
    402: Reason.NO_CREDITS,
    403: Reason.HUB_FORBIDDEN,
    404: Reason.HUB_FORBIDDEN,
    422: Reason.BAD_ARGUMENT,
}


@dataclass(frozen=True)
class Call:
    """What is noted of a create call with its claim: where the output repository is, what the job is given of
    checkpoints and, sealed, of secrets that may be replaced while it runs."""

    head: str | None
    prepared: saving.Prepared
    sealed_given: bytes | None


def run_once(gate: Gate) -> int:
    """Make the create call of every run that is due one; how many runs moved. None before the sweep at start: a
    restored backup does not know what was submitted after it was made."""
    with gate.db.read() as session:
        uncalled = runs.in_states(session, [RunState.SUBMITTING], MOST, col(Attempt.called_at).is_(None))
    for run, attempt in uncalled:
        if not gate.start.lets(run.place):
            gate.write(partial(_hold, loaded=attempt, message=SWEEP_FIRST))
    due = [(run, attempt) for run, attempt in uncalled if gate.start.lets(run.place)]
    works = [(run.id, partial(_submit_or_wait, gate, run, attempt)) for run, attempt in due[:BATCH]]
    return sum(map(bool, beside("submit", gate.width, works)))


def _submit_or_wait(gate: Gate, run: Run, attempt: Attempt) -> bool:
    """The last calls of a rate-limit window are left to cancels: then a run keeps its slot until the next one. What is
    not begun when this process is about to end is left to the next leader, who would have to find out what became of
    it."""
    if gate.stopping.is_set():
        return False
    try:
        may_submit = gate.hub_of(run.credentials).governor.may_submit(gate.clock())
    except HubUnavailable:
        may_submit = True  # whose tokens are gone is told there
    if may_submit:
        return submit_one(gate, run, attempt)
    if run.message != NO_CALLS_LEFT:
        log.warning("submit_held", run_id=run.id, problem=NO_CALLS_LEFT)
        gate.write(partial(_hold, loaded=attempt, message=NO_CALLS_LEFT))
    return False


def submit_one(gate: Gate, run: Run, attempt: Attempt) -> bool:
    """Claim the call, make it, apply its outcome. True: the run moved, or somebody else has it."""
    try:
        if not is_pinned(gate, run):
            return gate.write(partial(_check_again, loaded=attempt, now=gate.clock()))
        try:
            prepared = saving.prepare(gate, run, attempt)
        except HubRefused as error:
            diagnosis = failure(Reason.HUB_FORBIDDEN, error.message, remedy=NO_BUCKET)
            return gate.write(partial(_fail, loaded=attempt, diagnosis=diagnosis, now=gate.clock()))
        hub = gate.hub_of(run.credentials)
        spec = spec_of(gate, hub, run, attempt, prepared)
        head = _output_head(hub, run)
    except HubFault as error:
        return gate.write(partial(go_back, loaded=attempt, problem=error, now=gate.clock()))
    except SecretsLost as error:
        diagnosis = failure(Reason.SECRETS_LOST, str(error))
        return gate.write(partial(_fail, loaded=attempt, diagnosis=diagnosis, now=gate.clock()))
    except Exception:
        # A fault of our own. Nothing was sent: the money goes back, and the next try is later.
        log.exception("job_not_prepared", run_id=run.id, attempt=attempt.attempt)
        return gate.write(partial(go_back, loaded=attempt, problem=NOT_PREPARED, now=gate.clock()))
    claimed_at = gate.monotonic()
    call = Call(head, prepared, _to_mask(gate, run, spec.secrets))
    if not gate.write(partial(_claim, gate=gate, loaded=attempt, call=call, now=gate.clock())):
        return True  # cancelled or un-admitted, or claimed by another process
    if gate.monotonic() - claimed_at > LONGEST_CLAIM_SECONDS:
        # This process slept; another one may have taken the claim for a dead one's. Nothing was sent yet.
        return gate.write(partial(go_back, loaded=attempt, problem=NOT_PREPARED, now=gate.clock()))
    try:
        created = hub.create_job(run.namespace, spec)
    except HubUnclear as error:
        log.warning("create_unclear", run_id=run.id, attempt=attempt.attempt, problem=error.message)
        gate.open_since[attempt.submission] = claimed_at
        gate.write(partial(_leave_open, loaded=attempt))
        return False
    except HubUnavailable as error:
        return gate.write(partial(go_back, loaded=attempt, problem=error, now=gate.clock()))
    except HubRefused as error:
        log.warning("create_refused", run_id=run.id, attempt=attempt.attempt, status=error.status)
        shown = _without_secrets(gate, run, spec, error)
        return gate.write(partial(_refused, loaded=attempt, namespace=run.namespace, error=shown, now=gate.clock()))
    return _take(gate, hub, run, attempt, created)


def _take(gate: Gate, hub: HubClient, run: Run, attempt: Attempt, created: Job) -> bool:
    if not gate.write(partial(take_job, gate=gate, loaded=attempt, job=created, now=gate.clock())):
        # Overtaken although recovery leaves calls in flight alone: nobody else will take this job.
        # The sweep notes it with its cost, and asks again.
        log.error("job_without_run", run_id=run.id, hub_job_id=created.id)
        with contextlib.suppress(HubFault):
            hub.cancel_job(run.namespace, created.id)
        return False
    gate.ears.submitted((gate.clock() - attempt.admitted_at).total_seconds())
    log.info("job_created", run_id=run.id, attempt=attempt.attempt, hub_job_id=created.id)
    return True


def _check_again(session: Session, loaded: Attempt, now: datetime) -> bool:
    """What had no commit at the check has one now: the run goes back, and what it names now is checked."""
    if (found := runs.lock_submission(session, loaded.run_id, loaded.submission)) is None:
        return False
    run, _ = found
    if not go_back(session, loaded, None, now):
        return False
    session.refresh(run)
    if run.state == RunState.QUEUED:
        run.checked_at = None
        session.add(run)
    return True


def _hold(session: Session, loaded: Attempt, message: str) -> None:
    if (found := runs.lock_submission(session, loaded.run_id, loaded.submission)) is not None:
        runs.explain(session, found[0], None, message)


def take_job(session: Session, gate: Gate, loaded: Attempt, job: Job, now: datetime) -> bool:
    """submitting -> starting: this job is the attempt's."""
    if (found := runs.lock_submission(session, loaded.run_id, loaded.submission)) is None:
        return False
    run, attempt = found
    if run.state != RunState.SUBMITTING:
        return attempt.hub_job_id == job.id
    attempt.hub_job_id = job.id
    attempt.hub_job_url = gate.hub.job_url(run.namespace, job.id)
    attempt.scheduled_at = now
    attempt.is_unclear = False
    session.add(attempt)
    return runs.advance(session, run, RunState.STARTING, now=now, message="waiting for hardware", tries=0)


def go_back(session: Session, loaded: Attempt, problem: HubFault | None, now: datetime) -> bool:
    """submitting -> queued: it is certain that no job was made. The money is free again."""
    if (found := runs.lock_submission(session, loaded.run_id, loaded.submission)) is None:
        return False
    run, attempt = found
    ledger.release(session, attempt, now)
    if run.cancel_requested_at is not None:
        reason, message = cancels.why(run), f"{run.cancel_message}, before a job was made"
        return runs.advance(session, run, RunState.CANCELLED, now=now, reason=reason, message=message)
    if problem is None:
        return runs.advance(session, run, RunState.QUEUED, now=now, reason=Reason.CHECKING, message="queued again")
    tries = run.tries + 1
    not_before = now + max(hub_backoff(tries), timedelta(seconds=problem.retry_after_seconds or 0))
    told = problem.message if problem is NOT_PREPARED else f"Hugging Face did not take the job: {problem.message}"
    return runs.advance(
        session,
        run,
        RunState.QUEUED,
        now=now,
        reason=Reason.BACKING_OFF,
        message=f"{told}; the next try is at {second(not_before)}",
        tries=tries,
        not_before=not_before,
    )


def _claim(session: Session, gate: Gate, loaded: Attempt, call: Call, now: datetime) -> bool:
    """Commit that this process now makes the call, or take the run back where it must not be made any more."""
    if (found := runs.lock_submission(session, loaded.run_id, loaded.submission)) is None:
        return False
    run, attempt = found
    if attempt.called_at is not None:
        return False
    if run.start_before is not None and holds.stop_late(session, col(Run.id) == run.id, now):
        session.refresh(run)
    price = flavors.fresh_price(session, attempt.flavor, now)
    if run.cancel_requested_at is not None or price is None or price > attempt.price_per_minute_micro_usd:
        go_back(session, attempt, None, now)
        return False
    attempt.called_at = now
    attempt.call_deadline = now + gate.limits.create_timeout
    attempt.called_by = gate.boot
    attempt.output_head = call.head
    saving.take_over(run, attempt, call.prepared)
    run.sealed_given = call.sealed_given
    session.add(run)
    session.add(attempt)
    return True


def _leave_open(session: Session, loaded: Attempt) -> None:
    """The call's outcome is unknown: the money stays reserved until `recover` knows."""
    if (found := runs.lock_submission(session, loaded.run_id, loaded.submission)) is not None:
        run, attempt = found
        attempt.is_unclear = True
        session.add(attempt)
        runs.explain(session, run, None, LOST_ANSWER)


def _refused(session: Session, loaded: Attempt, namespace: str, error: HubRefused, now: datetime) -> bool:
    cause = REFUSALS.get(error.status or 0)
    if cause is None:
        return go_back(session, loaded, error, now)
    diagnosis = failure(cause, f"HTTP {error.status}: {error.message}")
    if cause is not Reason.NO_CREDITS:
        # it is the create call that was refused, not something inside a job
        diagnosis = replace(
            diagnosis,
            message=f"Hugging Face refused to start the job in {namespace}.",
            remedy="The evidence is its answer; a token or a namespace is an admin's task.",
        )
    return _fail(session, loaded, diagnosis, now)


def _fail(session: Session, loaded: Attempt, diagnosis: Failure, now: datetime) -> bool:
    """submitting -> failed: no job was made, and none would be at another try."""
    if (found := runs.lock_submission(session, loaded.run_id, loaded.submission)) is None:
        return False
    run, attempt = found
    ledger.release(session, attempt, now)
    attempt.cause = diagnosis.cause.value
    session.add(attempt)
    return runs.advance(
        session,
        run,
        RunState.FAILED,
        now=now,
        reason=diagnosis.cause,
        message=diagnosis.message,
        failure=diagnosis.as_json(),
    )


def _output_head(hub: HubClient, run: Run) -> str | None:
    """The commit that the output repository is at before the job: what comes after it is the job's work."""
    if run.output_repo is None:
        return None
    state = hub.repo_state(run.output_repo)
    return None if state is None else state.sha


def _without_secrets(gate: Gate, run: Run, spec: job.JobSpec, error: HubRefused) -> HubRefused:
    """A refusal in words that hold nothing of what the job was to be given."""
    parts = leak.secret_parts([*spec.secrets.values(), callback.token_of(gate, run.id, run.attempt)])
    return HubRefused(mask(error.message, parts), error.status, error.retry_after_seconds)


def _to_mask(gate: Gate, run: Run, secrets: Mapping[str, str]) -> bytes | None:
    """Sealed, what of a job's secrets may be replaced while it runs: its log may show them all the same."""
    names = [*run.secret_refs, *(["HF_TOKEN"] if run.credentials is not None else [])]
    return gate.vault.seal({name: secrets[name] for name in names}) if names else None
