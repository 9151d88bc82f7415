"""The wire's objects about the jobs of a run: each attempt, the repair between two, what they keep to go on from."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import ConfigDict, Field

from service.api.watch_schemas import MachineObject, WarningObject
from service.api.wire import Wire


class HubJob(Wire):
    """A Hugging Face Job of ours."""

    id: str
    url: str | None


class RepairSetting(Wire):
    """A setting by its field in the request."""

    model_config = ConfigDict(populate_by_name=True)

    field: str
    before: Any = Field(alias="from")
    after: Any = Field(alias="to")


class RepairObject(Wire):
    """Another try, and the most and the likely price of that try alone."""

    change: str
    settings: list[RepairSetting] = Field(description="Empty: the same again")
    ceiling_usd: float | None
    expected_usd: float | None


class CheckpointObject(Wire):
    """A whole checkpoint: the step after which it was written."""

    step: int
    size_bytes: int


class CheckpointsObject(Wire):
    """What a run keeps to go on from."""

    asked: Literal["auto", "on", "off"]
    bucket: str | None = Field(description="Where they are, as owner/name; null where none are kept")
    newest: CheckpointObject | None
    size_bytes: int = Field(description="All that is stored")
    has_model: bool = Field(description="Whether the trained model itself is there, too")
    why_not: str | None = Field(description="Why none are kept that were wanted")
    read_at: datetime | None
    deleted_at: datetime | None


class AttemptObject(Wire):
    """One job submitted for a run."""

    attempt: int
    hub_job: HubJob | None
    flavor: str
    price_per_minute_usd: float
    timeout_seconds: int = Field(description="When Hugging Face ends it, from its start on")
    admitted_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    running_seconds: float | None
    minutes: int | None = Field(description="Billed minutes: each started minute counts")
    cost_usd: float | None
    billed_usd: float | None = Field(description="What Hugging Face billed; null until known")
    metered_source: Literal["hub", "observed"] | None
    cause: str | None
    from_step: int | None = Field(description="The step of the checkpoint that it went on from")
    failure: dict[str, Any] | None = Field(description="The diagnosis, as in the run's `failure`")
    change: str | None = Field(description="What changed for it, and after it for the next attempt")
    repair: RepairObject | None = Field(description="What was done for the next attempt; null after the last one")
    machine: MachineObject | None = Field(description="What it used of its machine, by samples; null before the first")
    warnings: list[WarningObject] = Field(description="What its guards found, the first first")
