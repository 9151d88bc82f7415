"""Looks at the output repository of a job that has ended well: a few calls, before anything is written.

One for the commits, one for the files at the attempt's own, and one for each small file that the checks read (the
configuration, the index of shards). Only where a script's log tells of no push, one more: for the files of before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import structlog

from service.domain import model_files, publication
from service.domain.facts import AccountFact
from service.domain.finding import Verdict
from service.domain.output import Check, Due, Output, differ, due, for_recipe
from service.domain.publication import Commit, Work
from service.domain.repair.rescue import KIND
from service.domain.subject import Kind, Subject
from service.flow.gate import Gate
from service.hub.client import HubClient
from service.hub.faults import HubUnavailable
from service.hub.models import Job, RepoState
from service.store import facts, runs
from service.store.tables import Attempt, Run

log = structlog.get_logger()
# How long a list of commits is asked for; without it the model is judged by its files alone.
PATIENCE = timedelta(minutes=2)


def look(gate: Gate, run: Run, attempt: Attempt, job: Job, lines: Sequence[str]) -> Output:
    """What the job published, and every check of it. Raises HubFault."""
    found = _look(gate, run, attempt, job, lines)
    return replace(found, checks=tuple(for_recipe(check, run.recipe) for check in found.checks))


def _look(gate: Gate, run: Run, attempt: Attempt, job: Job, lines: Sequence[str]) -> Output:
    assert run.output_repo is not None
    hub = gate.hub_of(run.credentials)
    commits = _commits(gate, hub, run.output_repo, job)
    work = Work(
        head_before=attempt.output_head,
        started_at=job.started_at or attempt.started_at,
        finished_at=job.finished_at,
        account=None if run.secret_names else _account(gate, run),
        pushes=publication.read_pushes(lines),
    )
    own = None if commits is None else publication.own_commit(commits, work)
    at = own or (commits[0] if commits else None)
    state = hub.repo_state(run.output_repo, None if at is None else at.sha)
    if state is None:
        problem = f"{run.output_repo} does not exist, or the job's token may not read it"
        return Output(None, (), (Check("commit", Verdict.FAILED, problem, publication.PUSH),))
    wanted = _due(gate, run)
    # TRL's script pushes its whole folder or fails: whatever its commit changed, the rest was there already.
    has_changed = _has_changed(hub, run.output_repo, state, work) if wanted is Due.ANYTHING else None
    published = publication.judge(run.output_repo, state.sha, commits, work, has_changed)
    if published.verdict is Verdict.FAILED:
        return Output(None, (), (published,))
    names = model_files.documents(wanted, state.files)
    read = {name: hub.outputs.document(run.output_repo, state.sha, name) for name in names}
    checks = model_files.judge(wanted, state.files, read)
    return Output(state.sha, state.files, (published, *checks), None if own is None else own.at)


def _due(gate: Gate, run: Run) -> Due:
    """What the run's recipe must have published; of a rescue, the recipe of the run that it is for."""
    if run.kind != KIND or run.parent is None:
        return due(run.recipe)
    with gate.db.read() as session:
        parent = runs.get(session, run.parent)
    return due(run.recipe if parent is None else parent.recipe)


def _commits(gate: Gate, hub: HubClient, repo: str, job: Job) -> tuple[Commit, ...] | None:
    try:
        return hub.outputs.commits(repo)
    except HubUnavailable as error:
        if gate.clock() - (job.finished_at or gate.clock()) < PATIENCE:
            raise
        log.warning("commits_unavailable", repo=repo, problem=error.message)
        return None


def _account(gate: Gate, run: Run) -> str | None:
    """Whose token jobs are given, as preflight last read it. It is not asked for here."""
    subject = Subject(Kind.JOB_ACCOUNT)
    with gate.db.read() as session:
        fact = facts.known(session, run.credentials, [subject], None).get(subject)
    return fact.name if isinstance(fact, AccountFact) and fact.is_found else None


def _has_changed(hub: HubClient, repo: str, now: RepoState, work: Work) -> bool | None:
    """Whether the job changed more than the model's card. Not asked where the log tells of a push, or where there was
    nothing before; a commit that is there no more (a history that was squashed) has nothing to be compared with."""
    if work.head_before in (None, now.sha) or work.pushes.tell_of(now.sha):
        return None
    before = hub.repo_state(repo, work.head_before)
    return None if before is None else differ(before.files, now.files)
