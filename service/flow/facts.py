"""Facts from the Hub for those who decide by them: from the database while they are good, else asked anew.

Answers are shared by all runs and replicas that ask with the same tokens. Calls come from the same rate budget as
everything else, and stop before they would take from what cancels and submissions need.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial

import structlog

from service.domain.facts import Outcome
from service.domain.subject import FACTS, Fact, Kind, Subject
from service.flow.each import beside
from service.flow.gate import Gate
from service.hub.client import HubClient
from service.hub.lookup import Lookup
from service.store import facts
from service.store.credentials import version

log = structlog.get_logger()

# How long an answer is relied on. What is missing or closed may be put right any minute; what is unknown is asked
# again soon.
GOOD_FOR: Mapping[Outcome, timedelta] = {
    Outcome.FOUND: timedelta(minutes=10),
    Outcome.MISSING: timedelta(seconds=30),
    Outcome.GATED: timedelta(seconds=30),
    Outcome.DENIED: timedelta(seconds=30),
    Outcome.UNKNOWN: timedelta(seconds=10),
}


def gather(
    gate: Gate, credentials: str | None, subjects: Sequence[Subject], *, is_step: bool = True
) -> dict[Subject, Fact] | None:
    """A fact for each subject, as a team's own tokens see it (None: the service's); None where Hugging Face should not
    be asked just now. Of the steps only the leader's keep what they read; a request's answer is kept by whichever
    process it came to. Raises HubUnavailable where there are no such tokens any more."""
    with gate.db.read() as session:
        found = facts.known(session, credentials, list(subjects), gate.clock())
        read_as = version(session, credentials)
    hub = gate.hub_of(credentials)
    missing = [subject for subject in dict.fromkeys(subjects) if subject not in found]
    works = [(subject.name, partial(_ask_if_may, gate, hub, subject)) for subject in missing]
    asked = zip(missing, beside("facts", gate.width, works), strict=True)
    fresh = {subject: fact for subject, fact in asked if fact is not None}
    if fresh:
        now = gate.clock()
        kept = {subject: (fact, now + GOOD_FOR[fact.outcome]) for subject, fact in fresh.items()}
        (gate.write if is_step else gate.db.write)(partial(facts.keep, read_as=read_as, found=kept, now=now))
    found |= fresh
    return found if len(found) == len(set(subjects)) else None


def _ask_if_may(gate: Gate, hub: HubClient, subject: Subject) -> Fact | None:
    return ask(hub, subject) if hub.governor.may_poll(gate.clock()) else None


def ask(hub: HubClient, subject: Subject) -> Fact:
    """One question to the Hub; never raises. What nobody foresaw in an answer is an unknown fact, too."""
    try:
        return _ask(hub.lookup, subject)
    except Exception as error:
        log.exception("fact_not_read", subject=subject.name)
        message = f"the service could not read what the Hub said ({type(error).__name__})"
        return FACTS[subject.kind](outcome=Outcome.UNKNOWN, message=message)


def _ask(lookup: Lookup, subject: Subject) -> Fact:
    match subject.kind:
        case Kind.MODEL:
            return lookup.model(subject.id, subject.revision)
        case Kind.DATASET:
            return lookup.dataset(subject.id, subject.revision)
        case Kind.TEMPLATE:
            return lookup.model(subject.id, subject.revision)
        case Kind.MOUNT:
            kind, _, repo = subject.id.partition("/")
            return lookup.mount(kind, repo, subject.revision, subject.path)
        case Kind.JOB_ACCOUNT:
            return lookup.job_account()
        case Kind.JOBS:
            return lookup.may_start_jobs(subject.id)
