"""The wire's objects, as the OpenAPI document shows them. Tables never leave the store."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from service.api.attempt_schemas import AttemptObject, CheckpointsObject, HubJob, RepairObject
from service.api.preflight_schemas import Cost, FollowUpObject, PilotObject, PreflightObject
from service.api.use_schemas import UseObject
from service.api.watch_schemas import ProgressObject, WarningObject
from service.api.webhook_schemas import RunEndpointObject
from service.api.wire import Wire
from service.domain.guards import Guards
from service.domain.repair import Retry


class OutputFile(Wire):
    """A file of the model's commit."""

    path: str
    size_bytes: int | None


class OutputCheck(Wire):
    """One check of what was published. `unknown`: the Hub did not say, which is never taken for failed."""

    check: str = Field(examples=["commit", "weights", "shards", "config", "tokenizer"])
    outcome: Literal["passed", "failed", "unknown"]
    message: str = Field(examples=["shard model-00002-of-00003.safetensors is not there"])
    remedy: str | None


class Output(Wire):
    """Where the model is. `revision` is the commit that this run made, or the one that held the same files already;
    `verified`: the run succeeded, no check failed."""

    repo: str
    revision: str | None
    url: str | None
    verified: bool
    files: list[OutputFile]
    checks: list[OutputCheck] = Field(description="What was looked at once the job had ended; empty before")
    use: UseObject | None = Field(description="Once the model is verified")


class FailureObject(Wire):
    """Why a run failed."""

    cause: str
    message: str
    evidence: str | None = Field(description="The line of the log, or of Hugging Face's status, that shows it")
    remedy: str
    retryable: bool = Field(description="Whether `retry` is `same`")
    retry: Literal["same", "changed", "never"] | None = Field(
        default=None,
        description="`same`: unchanged is sensible; `changed`: something must change; `never`: a person must act",
    )
    confidence: float | None = Field(default=None, description="From 0 to 1: how often such a diagnosis is right")
    repair: RepairObject | None = Field(default=None, description="A try that would be sensible, with its price")
    rescue: RepairObject | None = Field(default=None, description="What /runs/{id}/rescue would do, with its price")
    rescued_by: str | None = Field(default=None, description="The run that has published what this one had trained")
    not_repaired: str | None = Field(default=None, description="Why `retry` did not make that try")


class ApprovalObject(Wire):
    """That a run needs approval, or what came of it and by whom."""

    state: Literal["needed", "granted", "refused", "expired"]
    why: str | None
    expires_at: datetime | None
    by: str | None
    comment: str | None


class RunObject(Wire):
    """A run."""

    id: str
    object: Literal["run"]
    state: Literal["queued", "submitting", "starting", "running", "succeeded", "failed", "cancelled"]
    reason: str | None
    message: str | None
    is_terminal: bool
    team: str
    requested_by: str = Field(description="Whose it is: the user of the key, or the one named by `on_behalf_of`")
    submitted_by: str
    recipe: dict[str, Any]
    flavor: str
    timeout_seconds: int | None
    max_cost_usd: float | None
    priority: int
    labels: dict[str, str]
    after: list[str] = Field(description="Runs that must have succeeded before this one starts")
    start_before: datetime | None
    paused_at: datetime | None
    approval: ApprovalObject | None
    env: dict[str, str]
    secrets: list[str] = Field(description="Names only; values are never shown")
    secret_refs: dict[str, str] = Field(description="Which of them are named secrets of the team's, and of what name")
    hf_credentials: str | None = Field(description="The team whose own tokens it uses; null: the service's")
    namespace: str
    image: str
    volumes: list[dict[str, Any]]
    resource_group: str | None
    attempt: int
    attempts: list[AttemptObject]
    cost: Cost
    hub_job: HubJob | None
    output: Output | None
    result: dict[str, Any] | None = Field(description="What a follow-up's job found: answers, a loss, a repository")
    failure: FailureObject | None
    progress: ProgressObject | None
    retry: Retry | None
    checkpoints: CheckpointsObject
    guards: Guards
    warnings: list[WarningObject] = Field(description="Those of the attempt that it is on")
    preflight: PreflightObject | None
    estimate: dict[str, Any] | None = Field(
        description="What it was expected to need on its flavor, see POST /estimates"
    )
    pins: dict[str, str] = Field(description="What was resolved at preflight and is what runs")
    fingerprint: str | None = Field(description="The same for runs with the same inputs, to the commit")
    reused_from: str | None = Field(description="The earlier run whose model this one was answered with")
    lineage_card: str | None = Field(description="`wanted`, `written`, or why it was not")
    parent: str | None
    kind: str | None = Field(description="What a child run is for: `pilot`, `rescue`, or of a follow-up its kind")
    retry_of: str | None = Field(description="The run that this one was submitted anew from")
    origin: str | None = Field(
        description="The schedule or trigger that made it; null: a person did, or another service"
    )
    pilot: PilotObject | None
    follow_ups: list[FollowUpObject]
    webhooks: list[RunEndpointObject] = Field(description="Endpoints of its own, without their secrets")
    created_at: datetime
    admitted_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    cancel_requested_at: datetime | None


class EventObject(Wire):
    """A change of a run. `sequence` counts a run's events without gaps; `position` orders all events, once stamped."""

    id: str
    position: int | None
    sequence: int
    type: str
    timestamp: datetime
    data: dict[str, Any]


class LedgerEntryObject(Wire):
    """Money that moved, with its arithmetic: amount = price per minute x minutes."""

    kind: Literal["reserve", "charge", "release", "overrun", "stray"]
    amount_usd: float
    attempt: int
    price_per_minute_usd: float
    minutes: int
    budget: str | None = Field(description="The nearest budget that it counts in")
    budgets: list[str] = Field(description="Every budget that it counts in, the nearest first")
    at: datetime


class FlavorObject(Wire):
    """Hugging Face hardware with its price."""

    name: str
    price_per_minute_usd: float
    price_per_hour_usd: float
    price_read_at: datetime
    price_is_fresh: bool
    hardware: dict[str, Any]


class Readiness(Wire):
    """Whether requests can be served, and how the parts stand."""

    ready: bool
    checks: dict[str, Any]
