"""The API's objects about runs. tests/client/test_records.py holds each field to the OpenAPI document."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from service.client.record import Record


class Cost(Record):
    """Dollars; None is unknown."""

    estimated_usd: float | None
    ceiling_usd: float | None
    reserved_usd: float
    metered_usd: float | None
    billed_usd: float | None


class HubJob(Record):
    """The job on Hugging Face."""

    id: str
    url: str | None


class Progress(Record):
    """What the training log last said."""

    step: int | None
    total_steps: int | None
    loss: float | None
    eta_seconds: int | None
    eta_low_seconds: int | None = None
    eta_high_seconds: int | None = None
    train_seconds: float | None = None
    learning_rate: float | None = None
    grad_norm: float | None = None
    epoch: float | None = None
    tokens: int | None = None
    eval_loss: float | None = None
    steps_per_second: float | None = None
    phase: str | None = None
    dashboard: str | None = None


class Output(Record):
    """Where the model is; `verified` once it was found there whole."""

    repo: str
    revision: str | None
    url: str | None
    verified: bool
    files: list[dict[str, Any]]
    checks: list[dict[str, Any]]
    use: dict[str, Any] | None


class Setting(Record):
    """A setting by its field in the request."""

    field: str
    before: Any = Field(alias="from")
    after: Any = Field(alias="to")


class Repair(Record):
    """Another try that would be sensible, with its price in dollars."""

    change: str
    settings: list[Setting]
    ceiling_usd: float | None
    expected_usd: float | None


class Failure(Record):
    """Why a run failed, and what to do."""

    cause: str
    message: str
    evidence: str | None
    remedy: str
    retryable: bool
    retry: str | None = None
    confidence: float | None = None
    repair: Repair | None = None
    rescue: Repair | None = None
    rescued_by: str | None = None
    not_repaired: str | None = None


class Attempt(Record):
    """One job submitted for a run."""

    attempt: int
    hub_job: HubJob | None
    flavor: str
    price_per_minute_usd: float
    timeout_seconds: int
    admitted_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    running_seconds: float | None
    minutes: int | None
    cost_usd: float | None
    billed_usd: float | None
    metered_source: str | None
    cause: str | None
    from_step: int | None
    failure: dict[str, Any] | None
    change: str | None
    repair: Repair | None
    machine: dict[str, Any] | None
    warnings: list[dict[str, Any]]


class Approval(Record):
    """That a run needs approval, or what came of it."""

    state: str
    why: str | None
    expires_at: datetime | None
    by: str | None
    comment: str | None


class RunRecord(Record):
    """A run as it was when it was read."""

    id: str
    object: str
    state: str
    reason: str | None
    message: str | None
    is_terminal: bool
    team: str
    requested_by: str
    submitted_by: str
    recipe: dict[str, Any]
    flavor: str
    timeout_seconds: int | None
    max_cost_usd: float | None
    priority: int
    labels: dict[str, str]
    after: list[str]
    start_before: datetime | None
    paused_at: datetime | None
    approval: Approval | None
    env: dict[str, str]
    secrets: list[str]
    secret_refs: dict[str, str]
    hf_credentials: str | None
    namespace: str
    image: str
    volumes: list[dict[str, Any]]
    resource_group: str | None
    attempt: int
    attempts: list[Attempt]
    cost: Cost
    hub_job: HubJob | None
    output: Output | None
    result: dict[str, Any] | None
    failure: Failure | None
    progress: Progress | None
    retry_policy: dict[str, Any] | None = Field(alias="retry")
    checkpoints: dict[str, Any]
    guards: dict[str, Any]
    warnings: list[dict[str, Any]]
    preflight: dict[str, Any] | None
    estimate: dict[str, Any] | None
    pins: dict[str, str]
    fingerprint: str | None
    reused_from: str | None
    lineage_card: str | None
    parent: str | None
    kind: str | None
    retry_of: str | None
    origin: str | None
    pilot: dict[str, Any] | None
    follow_ups: list[dict[str, Any]]
    webhooks: list[dict[str, Any]]
    created_at: datetime
    admitted_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    cancel_requested_at: datetime | None
