"""What is seen of a job as it runs, on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from service.api.wire import Wire


class MachineObject(Wire):
    """What a job used, at the moments that were looked at; of several GPUs, the one that used most."""

    samples: int
    memory_peak_bytes: int | None
    gpu_memory_peak_bytes: int | None
    gpu_memory_total_bytes: int | None
    gpu_utilization_mean: float | None = Field(description="Percent")


class ProgressObject(Wire):
    """What the training log last said."""

    step: int | None
    total_steps: int | None
    loss: float | None
    eta_seconds: int | None = Field(description="Until the last step, as of the last line; saving comes after it")
    eta_low_seconds: int | None = Field(None, description="At the pace of the fastest tenth of late")
    eta_high_seconds: int | None = Field(None, description="At the pace of the slowest tenth of late")
    train_seconds: float | None = Field(None, description="Trainer's own runtime, once training has ended")
    learning_rate: float | None = None
    grad_norm: float | None = None
    epoch: float | None = None
    tokens: int | None = None
    eval_loss: float | None = None
    steps_per_second: float | None = None
    phase: Literal["setup", "data", "train", "save", "push"] | None = None
    dashboard: str | None = Field(None, description="Where the job's log says that its charts are")


class WarningObject(Wire):
    """What a guard found of a running job. `ended_at`: it was no longer so, as where the pace picked up."""

    guard: Literal["nan", "divergence", "stall", "timeout", "cost"]
    policy: Literal["warn", "stop"]
    message: str
    evidence: str
    remedy: str
    is_certain: bool = Field(description="Enough to end the job for, where the policy is `stop`")
    numbers: dict[str, float | int | None] = Field(description="Its arithmetic, in seconds, steps and dollars")
    since: datetime
    noted_at: datetime = Field(description="When message and numbers were last brought up to date")
    ended_at: datetime | None


class LogLineObject(Wire):
    """One line of a job's log. `number` counts from 0, and leaves out what was let go of a log that is too long."""

    number: int
    timestamp: str
    line: str


class LogObject(Wire):
    """A job's log, as far as it was taken in."""

    data: list[LogLineObject]
    attempt: int
    is_kept: bool = Field(description="Whether the job has ended, so that nothing will follow")
    is_whole: bool = Field(description="Whether `state` is `whole`: every line that the job printed was taken in")
    state: Literal["partial", "whole", "shortened", "dropped"] | None = Field(
        description="`partial`: more may come, or could not be read; `shortened`: too long, its middle is gone; "
        "`dropped`: too old; null: nothing came yet"
    )
