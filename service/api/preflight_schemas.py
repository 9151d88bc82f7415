"""What was found out about a run before it starts, on the wire: preflight's checks and a pilot's measures."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from service.api.wire import Wire


class CheckObject(Wire):
    """One check. `unknown`: the Hub did not say, which is never taken for failed."""

    check: str
    outcome: Literal["passed", "failed", "unknown"]
    message: str
    field: str | None
    remedy: str | None


class PreflightObject(Wire):
    """What was found of everything that the run names, before any money was held for it."""

    outcome: Literal["passed", "failed", "unknown"]
    at: datetime
    checks: list[CheckObject]


class MeasuredObject(Wire):
    """What a pilot showed on its flavor, and what the run's own steps come to by it; null was not to be seen."""

    flavor: str
    gpu_gib: float | None = Field(description="The most GPU memory that it held, with all that PyTorch keeps in stock")
    step_seconds: float | None = Field(
        description="On the run's own flavor, by the estimates where the pilot's is another"
    )
    around_seconds: float | None
    steps: int | None
    expected_minutes: float | None


class Cost(Wire):
    """Dollars; null is unknown. `metered_usd` follows from Hugging Face's running time and ticks while the job runs;
    `billed_usd` is what Hugging Face says that it billed, null until it is known of every attempt that ran."""

    estimated_usd: float | None
    ceiling_usd: float | None
    reserved_usd: float
    metered_usd: float | None
    billed_usd: float | None


class FollowUpObject(Wire):
    """A child run that goes on from the run's model. `cost` is its own, beside the run's."""

    run_id: str
    kind: str
    state: str
    message: str | None
    result: dict[str, Any] | None = Field(description="What it found; null before its end")
    cost: Cost | None


class PilotObject(Wire):
    """The child run that goes before; `measured` is null until it has passed, or where nothing was to be seen. `cost`
    is its own, beside the run's."""

    run_id: str
    state: str
    cost: Cost | None
    max_steps: int
    confirm: bool
    measured: MeasuredObject | None
