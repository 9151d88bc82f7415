"""tokens: what the tokens in use may do, looked at when they are brought and every hour: whether they do for what they
are for, and what they could do beyond it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog

from service.domain.errors import HubDown, Invalid
from service.domain.facts import Outcome
from service.domain.token_rights import OF_CONTROL, OF_JOB, TokenRights, too_broad
from service.flow.each import each
from service.flow.gate import Gate
from service.hub.client import HubClient
from service.hub.faults import HubFault, HubRefused, HubUnavailable
from service.store import credentials

log = structlog.get_logger()
LOOK_AGAIN = timedelta(hours=1)
MOST_NAMESPACES = 20
UNKNOWN = "Hugging Face does not know this token"
MAKE_ANOTHER = "Make a fine-grained token on Hugging Face and send that."


@dataclass
class Look:
    """What was found of one token: whose it is, and what it may do beyond what it needs."""

    account: str | None = None
    role: str | None = None
    warnings: list[str] = field(default_factory=list)


@dataclass
class Looked:
    """What was found of a control token and a job token; `problems`: why they do not do."""

    control: Look = field(default_factory=Look)
    job: Look = field(default_factory=Look)
    problems: list[Invalid] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """As it is kept and shown: without a part of any token."""
        told = [problem.detail for problem in self.problems]
        return {"control": asdict(self.control), "job": asdict(self.job), "problems": told}


def look(hub: HubClient, namespaces: Sequence[str], *, may_be_broad: bool) -> Looked:
    """Ask Hugging Face about a client's two tokens, for jobs in these namespaces. Raises HubFault where it does not say
    just now."""
    found = Looked()
    found.control, control = _look_at(hub.tokens.control_rights, "control_token", found)
    if control is not None:
        found.control.warnings = too_broad(control, OF_CONTROL, namespaces)
        found.problems += _cannot_start(hub, namespaces)
    found.job, job = _look_at(hub.tokens.job_rights, "job_token", found)
    if job is not None:
        found.job.warnings = too_broad(job, OF_JOB, namespaces)
        found.problems += _cannot_write(job, namespaces)
        starts = [one for one in _reachable(job, namespaces) if hub.job_token_may_start_jobs(one)]
        if starts and may_be_broad:
            found.job.warnings.append(f"a job could start jobs with it in {', '.join(starts)}, which is allowed here")
        elif starts:
            found.problems.append(_too_broad(starts))
    return found


def run_once(gate: Gate) -> int:
    """Look at the tokens that were not looked at for an hour; of how many pairs one does not do."""
    now = gate.clock()
    with gate.db.read() as session:
        due = [row.team for row in credentials.every(session) if now - row.checked_at >= LOOK_AGAIN]
    found = [each("tokens", team, partial(look_again, gate, team)) for team in due]
    last = gate.start.tokens_seen_at
    if last is None or now - last >= LOOK_AGAIN:
        found.append(each("tokens", "service", partial(_look_at_service, gate, now)))
    return sum(one is not None and bool(one.problems) for one in found)


def of_service(gate: Gate) -> Looked:
    """The service's own two tokens. Raises HubFault."""
    namespaces = [gate.namespace] if gate.namespace else []
    return look(gate.hub, namespaces, may_be_broad=gate.limits.allow_broad_job_token)


def look_again(gate: Gate, team: str, *, is_step: bool = True) -> Looked | None:
    """Look at a team's own tokens and keep what was found; None where the team has none, and for a step where Hugging
    Face does not say just now. A step keeps it as the leader; a request may come to any process, and gets HubDown."""
    with gate.db.read() as session:
        row = credentials.get(session, team)
    if row is None:
        return None
    may_be_broad = gate.limits.allow_broad_job_token or row.allow_broad_job_token
    try:
        hub = gate.hub_of(team)
        if is_step and not hub.governor.may_poll(gate.clock()):
            return None
        found = look(hub, row.namespaces, may_be_broad=may_be_broad)
    except HubFault as error:
        if not is_step:
            raise HubDown(error.message, remedy="Try again in a while, or set the tokens anew.") from None
        log.warning("tokens_not_seen", team=team, problem=error.message)
        return None
    (gate.write if is_step else gate.db.write)(
        partial(credentials.note_check, team=team, version=row.version, found=found.as_json(), now=gate.clock())
    )
    _tell(found, team)
    return found


def _look_at_service(gate: Gate, now: datetime) -> Looked | None:
    if not gate.hub.governor.may_poll(now):
        return None
    try:
        found = of_service(gate)
    except HubFault as error:
        log.warning("tokens_not_seen", team=None, problem=error.message)
        return None
    gate.start.tokens_seen_at = now
    _tell(found, None)
    return found


def _tell(found: Looked, team: str | None) -> None:
    for problem in found.problems:
        log.error("token_does_not_do", team=team, problem=problem.detail)
    for name, one in (("control", found.control), ("job", found.job)):
        for warning in one.warnings:
            log.warning("token_too_broad", team=team, token=name, account=one.account, problem=warning)


def _look_at(ask: Callable[[], TokenRights], name: str, found: Looked) -> tuple[Look, TokenRights | None]:
    try:
        rights = ask()
    except HubRefused as error:
        if error.status != 401:
            raise HubUnavailable(error.message, error.status) from None
        found.problems.append(Invalid(f"{name}: {UNKNOWN}", field=name, remedy=MAKE_ANOTHER))
        return Look(), None
    return Look(rights.account, rights.role), rights


def _cannot_start(hub: HubClient, namespaces: Sequence[str]) -> Iterator[Invalid]:
    for namespace in namespaces:
        fact = hub.lookup.may_start_jobs(namespace)
        if fact.outcome is Outcome.UNKNOWN:
            raise HubUnavailable(fact.message)
        if fact.outcome is Outcome.DENIED:
            yield Invalid(
                f"control_token: it may start no jobs in '{namespace}' ({fact.message})",
                field="control_token",
                remedy=f"Give it the right job.write on {namespace}, or leave that namespace out.",
            )


def _cannot_write(rights: TokenRights, namespaces: Sequence[str]) -> Iterator[Invalid]:
    if closed := [one for one in namespaces if one not in rights.writable]:
        yield Invalid(
            f"job_token: it may write no repositories in {', '.join(closed)}, where models and checkpoints go",
            field="job_token",
            remedy=f"Give it the right repo.write on {', '.join(closed)}.",
        )


def _reachable(rights: TokenRights, namespaces: Sequence[str]) -> list[str]:
    return list(dict.fromkeys((*namespaces, *rights.namespaces)))[:MOST_NAMESPACES]


def _too_broad(starts: Sequence[str]) -> Invalid:
    return Invalid(
        f"job_token: it could start jobs itself, in {', '.join(starts)}: a job would spend past every budget with it",
        field="job_token",
        remedy="Send one with rights on repositories only. An admin may allow it: allow_broad_job_token.",
    )
