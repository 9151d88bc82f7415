"""What is observed of Hugging Face, in this project's words. Their *stages* do not leave this package."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from service.domain.money import MOST_MICRO_USD, elapsed_ms
from service.domain.output import File
from service.domain.publication import Commit
from service.domain.text import cleaned


class JobPhase(StrEnum):
    """A job's stage as far as it matters here. A stage not known counts as RUNNING only if the job has started."""

    WAITING = "waiting"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    DELETED = "deleted"

    @property
    def is_final(self) -> bool:
        """Whether the job will not change any more."""
        return self not in (JobPhase.WAITING, JobPhase.RUNNING)


STAGES = {
    "SCHEDULING": JobPhase.WAITING,
    "RUNNING": JobPhase.RUNNING,
    "COMPLETED": JobPhase.COMPLETED,
    "ERROR": JobPhase.FAILED,
    "CANCELED": JobPhase.CANCELLED,
    "DELETED": JobPhase.DELETED,
}


SHA = re.compile(r"[0-9a-f]{40}")
MOST_BYTES = 2**53  # what JSON carries exactly
MOST_SECONDS = 2**31  # what a database column holds


@dataclass(frozen=True)
class Job:
    """A job as its JSON says. `running_ms` is finishedAt − startedAt; HF's own `runningSecs` is floored to seconds."""

    id: str
    phase: JobPhase
    message: str | None
    cancel_reason: str | None
    created_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    labels: Mapping[str, str]
    flavor: str | None = None
    timeout_seconds: int | None = None
    # who started it: `user`, `org`, `scheduled-job`, `duplicated-job` or `webhook`, and that one's id
    initiator_type: str | None = None
    initiator_id: str | None = None

    @property
    def running_ms(self) -> int | None:
        """How long it ran, in milliseconds; None where HF gave no times."""
        if self.started_at is None or self.finished_at is None:
            return None
        return elapsed_ms(self.started_at, self.finished_at)


@dataclass(frozen=True)
class RepoState:
    """A repository at one commit, with its files."""

    sha: str
    files: tuple[File, ...]


def repo_from_json(answer: Any) -> RepoState | None:
    """From what the Hub says of a repository; None where it has no commit."""
    if answer["sha"] is None:
        return None
    return RepoState(answer["sha"], tuple(map(_file, answer.get("siblings") or ())))


def _file(sibling: Mapping[str, Any]) -> File:
    lfs = sibling.get("lfs")
    return File(sibling["rfilename"], sibling.get("size"), sibling.get("blobId") if lfs is None else lfs["sha256"])


@dataclass(frozen=True)
class MachineUse:
    """What a job uses at one moment. GPU numbers are of the one that uses most: bytes, and utilization in percent;
    None without GPUs."""

    memory_bytes: int | None
    gpu_memory_bytes: int | None = None
    gpu_memory_total_bytes: int | None = None
    gpu_utilization: float | None = None

    def as_numbers(self) -> dict[str, float]:
        """What is known, as numbers of a series."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def job_from_json(value: Mapping[str, Any]) -> Job:
    """Read a job object, needing of it only its id: a paid job must not be lost to a field that changed its
    form. Raises ValueError where there is no id."""
    if not isinstance(value, Mapping) or not isinstance(value.get("id"), str):
        raise ValueError("a job without an id")
    status = value.get("status")
    status = status if isinstance(status, dict) else {}
    started_at, finished_at = _time(value.get("startedAt")), _time(value.get("finishedAt"))
    phase = STAGES.get(_text(status.get("stage")) or "")
    if phase is None:
        # a stage of tomorrow: its times say whether it goes on
        phase = JobPhase.FAILED if finished_at else JobPhase.RUNNING if started_at else JobPhase.WAITING
    labels = value.get("labels")
    initiator = value.get("initiator")
    initiator = initiator if isinstance(initiator, dict) else {}
    return Job(
        id=value["id"],
        phase=phase,
        message=_text(status.get("message")),
        cancel_reason=_text(status.get("cancelReason")),
        created_at=_time(value.get("createdAt")),
        started_at=started_at,
        finished_at=finished_at,
        labels=labels if isinstance(labels, dict) else {},
        flavor=_text(value.get("flavor")),
        timeout_seconds=_seconds(value.get("timeout")),
        initiator_type=_text(initiator.get("type")),
        initiator_id=_text(initiator.get("id")),
    )


def use_from_json(value: Mapping[str, Any]) -> MachineUse | None:
    """One frame of a job's metrics: `{memory_used_bytes, gpus: {id: {utilization, memory_used_bytes, …}}}`; None where
    it holds no numbers."""
    listed = value.get("gpus")
    gpus = [one for one in listed.values() if isinstance(one, Mapping)] if isinstance(listed, Mapping) else []
    use = MachineUse(
        _count(value.get("memory_used_bytes")),
        max(filter(None, (_count(one.get("memory_used_bytes")) for one in gpus)), default=None),
        max(filter(None, (_count(one.get("memory_total_bytes")) for one in gpus)), default=None),
        max((one["utilization"] for one in gpus if _is_percent(one.get("utilization"))), default=None),
    )
    return None if use == MachineUse(None) else use


def _count(value: object) -> int | None:
    if not isinstance(value, int | float) or not 0 <= value < MOST_BYTES:  # NaN is in no range
        return None
    return int(value)


def _is_percent(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 100


def bills_from_json(value: object) -> dict[str, int]:
    """Micro-USD by job id, of jobs that have ended; the bill of one that runs still grows. An item that cannot be read
    is left out: its bill stays unknown. Raises ValueError where there is no list of jobs."""
    usage = value.get("usage") if isinstance(value, Mapping) else None
    details = usage.get("jobDetails") if isinstance(usage, Mapping) else None
    if not isinstance(details, list):
        raise ValueError("a bill without a list of jobs")
    bills = {}
    for item in details:
        if not isinstance(item, Mapping) or item.get("completedAt") is None:
            continue
        job_id, cost = item.get("jobId"), _micro_usd(item.get("totalCostMicroUsd"))
        if isinstance(job_id, str) and cost is not None:
            bills[job_id] = cost
    return bills


def commits_from_json(value: object) -> tuple[Commit, ...] | None:
    """Commits in the order in which they are listed; None where this is no list of commits."""
    if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
        return None
    commits = []
    for item in value:
        sha, title, authors = item.get("id"), item.get("title"), item.get("authors")
        if not isinstance(sha, str) or not SHA.fullmatch(sha):
            return None
        names = [one.get("user") for one in authors if isinstance(one, Mapping)] if isinstance(authors, list) else []
        known = tuple(name for name in names if isinstance(name, str))
        commits.append(Commit(sha, _text(title) or "", known, _time(item.get("date"))))
    return tuple(commits)


def _micro_usd(value: object) -> int | None:
    # Hugging Face's schema calls the amount a number, not an integer
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < MOST_MICRO_USD:
        return None
    return round(value)


def _text(value: object) -> str | None:
    return cleaned(value) if isinstance(value, str) else None


def _seconds(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < MOST_SECONDS:
        return None
    return math.ceil(value)


def _time(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        parsed = datetime.fromisoformat(value)
    except ValueError:
        return None
    return parsed if parsed.tzinfo is not None else None
