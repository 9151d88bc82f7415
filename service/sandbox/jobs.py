"""The job record and its JSON, field for field as the Hub's OpenAPI (2026-08) describes a Job.

Values of secrets are in the record because the job needs them, and in no JSON: there `secrets` is a list of names.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from service.sandbox.job_rules import JobSpec
from service.sandbox.wire import timestamp

TERMINAL = frozenset({"COMPLETED", "CANCELED", "ERROR", "DELETED"})


@dataclass(frozen=True)
class LogLine:
    """One line of a job's log and when it was written."""

    at: datetime
    text: str


@dataclass
class Usage:
    """What a job's processes use now; `cpu_millicores` 1000 is one core kept busy. There is no GPU: what one would hold
    is told by the job itself, where nothing is executed."""

    cpu_millicores: int = 0
    memory_bytes: int = 0
    gpu_memory_bytes: int = 0


@dataclass
class Job:
    """One job. `stop` says why its process must end ("cancel", "timeout"); `visible_at` when lists show it."""

    id: str
    sequence: int
    owner: dict[str, Any]
    created_by: dict[str, Any]
    initiator: dict[str, Any]
    spec: JobSpec
    labels: dict[str, str]
    created_at: datetime
    visible_at: datetime
    expose: dict[str, Any] | None = None
    hf_token: dict[str, Any] | None = None
    stage: str = "SCHEDULING"
    message: str | None = None
    cancel_reason: str | None = None
    failure_count: int = 0
    started_at: datetime | None = None
    finished_at: datetime | None = None
    stop: str | None = None
    usage: Usage = field(default_factory=Usage)
    log: list[LogLine] = field(default_factory=list)
    history: list[tuple[datetime, dict[str, Any]]] = field(default_factory=list)

    @property
    def namespace(self) -> str:
        """The user or organisation that the job belongs to and that pays."""
        return str(self.owner["name"])

    @property
    def is_terminal(self) -> bool:
        """Whether the job has ended, however it did."""
        return self.stage in TERMINAL

    def move(self, stage: str, at: datetime, message: str | None = None) -> None:
        """Enter a stage, and remember it for the event stream."""
        self.stage, self.message = stage, message
        self.history.append((at, self.status()))

    def append(self, text: str, at: datetime) -> None:
        """Add a line to the log."""
        self.log.append(LogLine(at, text))

    def status(self) -> dict[str, Any]:
        """The `status` object; optional fields only where they say something."""
        status: dict[str, Any] = {"stage": self.stage, "message": self.message}
        if self.failure_count:
            status["failureCount"] = self.failure_count
        if self.cancel_reason:
            status["cancelReason"] = self.cancel_reason
        if self.expose:
            status["exposeUrls"] = [f"https://{self.id}--{port}.hf.jobs" for port in self.expose["ports"]]
        return status

    def json(self, now: datetime) -> dict[str, Any]:
        """The Job as the API shows it at this moment."""
        spec = self.spec
        shown = {
            "type": "job",
            "id": self.id,
            "createdAt": timestamp(self.created_at),
            "startedAt": timestamp(self.started_at) if self.started_at else None,
            "finishedAt": timestamp(self.finished_at) if self.finished_at else None,
            "dockerImage": spec.docker_image,
            "spaceId": spec.space_id,
            "command": list(spec.command),
            "arguments": list(spec.arguments),
            "environment": spec.environment,
            "secrets": list(spec.secrets),
            "flavor": spec.flavor,
            "timeout": spec.timeout_seconds,
            "retry": spec.attempts - 1,
            "labels": self.labels,
            "expose": self.expose,
            "durations": self._durations(now),
            "status": self.status(),
            "owner": self.owner,
            "createdBy": self.created_by,
            "initiator": self.initiator,
            "hfToken": self.hf_token,
            **spec.extras,
        }
        return {name: value for name, value in shown.items() if value is not None}

    def _durations(self, now: datetime) -> dict[str, int]:
        """Whole seconds, floored; a part that has not begun is absent (huggingface_hub 2.4.0 JobDurations)."""
        end = self.finished_at or now
        durations = {"totalSecs": int((end - self.created_at).total_seconds())}
        if self.started_at:
            durations["schedulingSecs"] = int((self.started_at - self.created_at).total_seconds())
            durations["runningSecs"] = int((end - self.started_at).total_seconds())
        return durations
