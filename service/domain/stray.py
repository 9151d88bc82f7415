"""Strays: live jobs of a namespace that no run of ours accounts for. What such a job is, what is done about it, and
what it costs, as pure rules.

Labels are only what a job says of itself: duplicating a job copies them, so who started it (`initiator`) counts first.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from service.domain.money import minutes

# `initiator.type` of a job that was made as the copy of another one, whose id is then the initiator's.
DUPLICATED = "duplicated-job"


class Kind(StrEnum):
    """Why a job is a stray."""

    OUTSIDE = "outside"  # it did not come through this gate: no label of ours, or another installation's
    SECOND_JOB = "second_job"  # one submission, another job than the run's own
    LATE_JOB = "late_job"  # a submission that the run is not on any more: its job was proven absent, and then came
    ENDED_RUN = "ended_run"  # its run has ended
    UNKNOWN_RUN = "unknown_run"  # it carries our label, and there is no such run
    STARTED_BY_JOB = "started_by_job"  # a copy of a job of ours


class Action(StrEnum):
    """What was done about it."""

    REPORTED = "reported"
    ADOPTED = "adopted"
    CANCELLED = "cancelled"


class Policy(StrEnum):
    """What the installation wants done about jobs that nothing else decides."""

    REPORT = "report"
    ADOPT = "adopt"
    CANCEL = "cancel"


# A run is known, so its team pays for them.
CHARGED = frozenset({Kind.SECOND_JOB, Kind.LATE_JOB, Kind.ENDED_RUN, Kind.STARTED_BY_JOB})


@dataclass(frozen=True)
class Seen:
    """A live job: what its labels say, and the job that it is a copy of, if it is one."""

    id: str
    created_at: datetime | None
    is_running: bool
    installation: str | None
    run_id: str | None
    submission: str | None
    copy_of: str | None = None


@dataclass(frozen=True)
class Known:
    """A run as the database knows it. `submission` None: no job of it is wanted just now."""

    is_terminal: bool
    submission: str | None
    hub_job_id: str | None


def classify(
    job: Seen, installation: str, run: Known | None, keep: str | None, our_jobs: Collection[str]
) -> Kind | None:
    """What a live job is; None where all is well. `run` is the one that its label names, `keep` the job of its
    submission that stays (see `kept`), `our_jobs` the ids of jobs that runs of ours are charged for."""
    if job.copy_of is not None and job.copy_of in our_jobs:
        return Kind.STARTED_BY_JOB
    if job.installation != installation:
        return Kind.OUTSIDE
    if run is None:
        return Kind.UNKNOWN_RUN
    if run.is_terminal:
        return Kind.ENDED_RUN
    if job.submission is None or job.submission != run.submission:
        return Kind.LATE_JOB
    if run.hub_job_id is None or keep is None or job.id == keep:
        return None  # an open create call is `recover`'s business
    return Kind.SECOND_JOB


def kept(own: str, jobs: Collection[Seen]) -> str:
    """Which of several live jobs of one submission stays: the run's own once it runs, otherwise the oldest. Where its
    own is not among the live ones, it has ended and is the run's outcome."""
    originals = [job for job in jobs if job.copy_of is None or job.id == own]
    mine = next((job for job in originals if job.id == own), None)
    if mine is None or mine.is_running:
        return own
    return min((job for job in originals if job.created_at is not None), key=_age, default=mine).id


def decide(kind: Kind, policy: Policy, is_labelled: bool) -> Action:
    """What is done about a stray. `is_labelled`: it carries our installation's label, so it goes under a run's name."""
    match kind:
        case Kind.OUTSIDE:
            return Action.REPORTED
        case Kind.SECOND_JOB | Kind.LATE_JOB | Kind.ENDED_RUN:
            return Action.CANCELLED
        case Kind.STARTED_BY_JOB if is_labelled:
            return Action.CANCELLED
    if policy is Policy.CANCEL:
        return Action.CANCELLED
    return Action.ADOPTED if policy is Policy.ADOPT and kind is Kind.UNKNOWN_RUN else Action.REPORTED


@dataclass(frozen=True)
class Bill:
    """A stray's started minutes, what they cost, and what its timeout would have allowed beyond; micro-dollars, None
    where the price is not known."""

    minutes: int
    cost: int | None
    beyond: int | None


def bill(price_per_minute: int | None, timeout_seconds: int | None, running_ms: int | None) -> Bill:
    """By the same minute rule as attempts; `running_ms` None: it has not started."""
    used = 0 if running_ms is None else minutes(running_ms)
    allowed = used if timeout_seconds is None else minutes(timeout_seconds * 1000)
    if price_per_minute is None:
        return Bill(used, None if used else 0, None)
    return Bill(used, used * price_per_minute, max(0, allowed - used) * price_per_minute)


def _age(job: Seen) -> tuple[datetime, str]:
    assert job.created_at is not None
    return job.created_at, job.id
