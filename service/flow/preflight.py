"""preflight: what a queued run names is looked up before any money is held for it.

A run that cannot work fails here, in seconds, with the cause, the field and the remedy. What the Hub did not tell is
*unknown*: the run is looked at again for a while, and then goes on with what is known. The commits that were found are
pinned, so that what was checked is what runs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial

import structlog
from sqlmodel import Session

from service.domain import gpus
from service.domain.errors import Busy, Invalid
from service.domain.facts import AccountFact, DatasetFact, JobsFact, ModelFact, MountFact, Outcome
from service.domain.finding import Finding, Verdict, unknown, verdict_of
from service.domain.fingerprint import dependency_date, fingerprint
from service.domain.flavor_name import AUTO
from service.domain.job import IMAGE
from service.domain.moment import iso, minute
from service.domain.preflight import (
    check_inputs,
    check_memory,
    check_namespace,
    check_output,
    check_space,
    no_flavor,
)
from service.domain.recipe import read
from service.domain.run import Reason, RunState
from service.domain.settle import Settled
from service.domain.subject import Fact, Kind, Subject
from service.domain.volume import Volume
from service.domain.wanted import Wanted, wanted_of
from service.flow.cap import refuse_over_cap
from service.flow.ceiling import refuse_impossible
from service.flow.each import beside, each
from service.flow.facts import gather
from service.flow.follow_up import go_along
from service.flow.foresee import settle_run
from service.flow.gate import Gate
from service.flow.look_ahead import judge_time, take_over
from service.hub.faults import HubFault
from service.store import checking, flavors, holds, runs
from service.store.lease import LeadLost
from service.store.tables import Run

log = structlog.get_logger()
BATCH = 20
LOOK_AGAIN = timedelta(seconds=15)
# How long a run waits for the Hub to answer before it goes on with what is known.
PATIENCE = timedelta(minutes=10)
FOR_EVER = datetime.max.replace(tzinfo=UTC)


def run_once(gate: Gate) -> int:
    """Check the runs that come next in the queue; how many were decided."""
    now = gate.clock()
    with gate.db.read() as session:
        are_any_old = checking.are_any_old(session, now)
    if are_any_old:
        gate.write(partial(checking.forget_old, now=now))
    with gate.db.read() as session:
        due = checking.due(session, now, BATCH)
    if len(due) > 1:
        _ask_once(gate, due)
    return sum(map(bool, beside("preflight", gate.width, [(run.id, partial(check_one, gate, run)) for run in due])))


def _ask_once(gate: Gate, due: list[Run]) -> None:
    """Many runs name the same: what these name is asked for together, and each then finds it known."""
    named: dict[str | None, list[Subject]] = defaultdict(list)
    for run in due:
        named[run.credentials] += each("preflight", run.id, partial(_subjects, run)) or []
    for credentials, subjects in named.items():
        with suppress(HubFault):  # each run is told by itself
            gather(gate, credentials, subjects)


def _subjects(run: Run) -> list[Subject]:
    return subjects_of(run, _wanted(run))


def check_one(gate: Gate, run: Run) -> bool:
    """Look up what one run names and judge it. False: not decided yet. What nobody foresaw in a run counts as unknown:
    it waits for a while with the reason shown, as it does for the Hub, and then goes on with what is known."""
    facts: dict[Subject, Fact] | None = {}
    wanted = Wanted()
    try:
        wanted = _wanted(run)
        facts = gather(gate, run.credentials, subjects_of(run, wanted))
        if facts is None:
            return False  # no calls to spare: the next pass comes soon
        pins = pins_of(run, wanted, facts, gate.clock())
        return _apply_to(gate, run, judge(run, wanted, facts), pins, _waits_until(run, facts))
    except (LeadLost, Busy):
        raise
    except Exception as error:
        why = error.message if isinstance(error, HubFault) else type(error).__name__
        if not isinstance(error, HubFault):
            log.exception("preflight_broke", run_id=run.id)
        broke = unknown("preflight", f"the service could not check this run ({why})")
        pins = pins_of(run, wanted, facts or {}, gate.clock())
        return _apply_to(gate, run, [broke], pins, run.created_at + PATIENCE, foresees=False)


def _apply_to(
    gate: Gate,
    run: Run,
    findings: list[Finding],
    pins: dict[str, str],
    waits_until: datetime | None,
    *,
    foresees: bool = True,
) -> bool:
    return gate.write(
        partial(
            _apply,
            loaded=run,
            findings=findings,
            pins=pins,
            waits_until=waits_until,
            now=gate.clock(),
            foresees=foresees,
        )
    )


def _wanted(run: Run) -> Wanted:
    volumes = [Volume.model_validate(one) for one in run.volumes or ()]
    return wanted_of(read(run.recipe), volumes, run.image)


def is_pinned(gate: Gate, run: Run) -> bool:
    """Whether all is pinned that can be: False where something that was not found at the check is there now. What was
    pinned is what runs, wherever its name has moved since; nobody is asked about it."""
    if run.pins is None:
        return True
    wanted = _wanted(run)
    missing = {name: subject for name, subject in wanted.to_pin().items() if name not in run.pins}
    facts = gather(gate, run.credentials, list(missing.values())) if missing else None
    return not _commits(missing, facts or {})


def _waits_until(run: Run, facts: dict[Subject, Fact]) -> datetime | None:
    """How long to wait for what may become known: for the Hub's answers a while, for a valid token as long as it takes.
    None where asking again would say the same."""
    if any(isinstance(fact, AccountFact) and fact.outcome is Outcome.DENIED for fact in facts.values()):
        return FOR_EVER
    if any(fact.outcome is Outcome.UNKNOWN for fact in facts.values()):
        return run.created_at + PATIENCE
    return None


def subjects_of(run: Run, wanted: Wanted) -> list[Subject]:
    """What has to be asked for a run."""
    subjects = [Subject(Kind.JOBS, run.namespace)]
    if run.output_repo is not None or wanted.space is not None:
        subjects.append(Subject(Kind.JOB_ACCOUNT))
    return subjects + wanted.subjects()


def judge(run: Run, wanted: Wanted, facts: dict[Subject, Fact]) -> list[Finding]:
    """Every check, in the order in which a person would look."""
    by_kind = {subject.kind: fact for subject, fact in facts.items()}
    findings: list[Finding] = []
    if isinstance(jobs := by_kind.get(Kind.JOBS), JobsFact):
        findings.append(check_namespace(run.namespace, jobs))
    if isinstance(account := by_kind.get(Kind.JOB_ACCOUNT), AccountFact) and run.output_repo is not None:
        findings.append(check_output(run.output_repo, account))
    if isinstance(account, AccountFact) and wanted.space is not None:
        findings.append(check_space(wanted.space, account))
    return findings + check_inputs(wanted, facts)


def pins_of(run: Run, wanted: Wanted, facts: Mapping[Subject, Fact], now: datetime) -> dict[str, str]:
    """The commits of what was found, the day of the packages, and the image's digest where it is named by one."""
    digest = (run.image or IMAGE).partition("@")[2]
    named = {"image_digest": digest} if digest else {}
    return {"exclude_newer": dependency_date(now), **named, **_commits(wanted.to_pin(), facts)}


def fingerprint_of(session: Session, run: Run) -> str:
    """The fingerprint of a run whose inputs are pinned, as it stands."""
    inputs = {**run.recipe, "image": run.image, "volumes": run.volumes}
    count = gpus.count(flavors.hardware(session, run.flavor))
    return fingerprint(inputs, run.pins or {}, run.env, run.secret_names, count)


def _commits(subjects: Mapping[str, Subject], facts: Mapping[Subject, Fact]) -> dict[str, str]:
    found = {name: facts.get(subject) for name, subject in subjects.items()}
    return {
        name: fact.sha
        for name, fact in found.items()
        if isinstance(fact, ModelFact | DatasetFact | MountFact) and fact.is_found and fact.sha
    }


def _apply(
    session: Session,
    loaded: Run,
    findings: list[Finding],
    pins: dict[str, str],
    waits_until: datetime | None,
    now: datetime,
    foresees: bool,
) -> bool:
    run = runs.lock(session, loaded.id)
    if run is None or run.state != RunState.QUEUED or run.recipe != loaded.recipe or run.flavor != loaded.flavor:
        return False
    waits = waits_until is not None and now < waits_until
    settled = settle_run(session, run, read(run.recipe), now) if foresees else None
    if settled is not None:
        findings = [*findings, *_foreseen(session, run, settled, now)]
    elif run.flavor == AUTO and not waits:
        findings = [*findings, no_flavor("what the run needs could not be worked out.")]
    verdict = verdict_of(findings)
    run.preflight = {"outcome": verdict.value, "at": iso(now), "checks": [one.as_json() for one in findings]}
    failed = next((finding for finding in findings if finding.verdict is Verdict.FAILED), None)
    if failed is not None:
        failure = failed.as_failure()
        session.add(run)
        log.info("preflight_failed", run_id=run.id, check=failed.check)
        return runs.advance(
            session,
            run,
            RunState.FAILED,
            now=now,
            reason=failure.cause,
            message=failure.message,
            failure=failure.as_json(),
        )
    if waits:
        open_one = next(finding for finding in findings if finding.verdict is Verdict.UNKNOWN)
        run.check_again_at = now + LOOK_AGAIN
        session.add(run)
        runs.explain(session, run, Reason.CHECKING, _not_known(open_one, waits_until))
        return False
    run.pins, run.checked_at, run.check_again_at = pins, now, None
    run.fingerprint = fingerprint_of(session, run)
    session.add(run)
    if run.reason == Reason.CHECKING:
        holds.say(session, run)  # what was not known a while ago is no news any more
    # what a bucket held then, nobody can tell: it has no commits
    is_known = all(volume["type"] != "bucket" for volume in run.volumes)
    if (
        run.reuse == "allow"
        and is_known
        and (earlier := checking.same_before(session, run, run.fingerprint)) is not None
    ):
        return _reuse(session, run, earlier, now)
    return True


def _not_known(finding: Finding, until: datetime | None) -> str:
    told = f"{finding.check} is not known yet ({finding.message}): asked again every {LOOK_AGAIN.seconds} s"
    if until is None or until == FOR_EVER:
        return f"{told} until there is an answer"
    return f"{told}, and from {minute(until)} on it goes without"


def _foreseen(session: Session, run: Run, settled: Settled, now: datetime) -> list[Finding]:
    """Memory and time, by the estimate; `auto` gets its flavor here, with all that follows from it."""
    was_open = run.flavor == AUTO
    if settled.flavor == AUTO:
        return [no_flavor("") if settled.choice is None else no_flavor(settled.choice.reason, settled.choice.enough)]
    take_over(run, settled)
    if was_open:
        try:
            go_along(session, run, now)
            refuse_impossible(session, run, now)
            refuse_over_cap(session, run)
        except Invalid as error:
            return [no_flavor(f"{'' if settled.choice is None else settled.choice.reason} {error.detail}")]
        holds.hold_for_approval(session, run, now)
        runs.line_up(session, run)
    return [
        check_memory(run.flavor, settled.foresight, run.force),
        judge_time(run),
    ]


def _reuse(session: Session, run: Run, earlier: Run, now: datetime) -> bool:
    """Nothing is trained twice: the run is answered with the model that the same inputs gave before."""
    run.reused_from = earlier.reused_from or earlier.id
    session.add(run)
    log.info("model_reused", run_id=run.id, earlier=run.reused_from)
    model = earlier.output or {}
    at = f"{model.get('repo')} at {str(model.get('revision'))[:12]}"
    message = f"answered with the model {at}, which {run.reused_from} made of the same inputs: nothing was trained"
    return runs.advance(session, run, RunState.SUCCEEDED, now=now, message=message, output=earlier.output)
