"""What was found out about a run before it starts, on the wire: preflight's checks and a pilot's measures."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field


class CheckObject(BaseModel):
    """One check. `unknown`: the Hub did not say, which is never taken for failed."""

    check: str
    outcome: Literal["passed", "failed", "unknown"]
    message: str
    field: str | None
    remedy: str | None


class PreflightObject(BaseModel):
    """What was found of everything that the run names, before any money was held for it."""

    outcome: Literal["passed", "failed", "unknown"]
    at: datetime
    checks: list[CheckObject]


class MeasuredObject(BaseModel):
    """What a pilot showed on its flavor, and what the run's own steps come to by it; null was not to be seen."""

    flavor: str
    gpu_gib: float | None = Field(description="The most GPU memory that it held, with all that PyTorch keeps in stock")
    step_seconds: float | None = Field(
        description="On the run's own flavor, by the estimates where the pilot's is another"
    )
    around_seconds: float | None
    steps: int | None
    expected_minutes: float | None


class PilotObject(BaseModel):
    """The child run that goes before; `measured` is null until it has passed, or where nothing was to be seen."""

    run_id: str
    max_steps: int
    confirm: bool
    measured: MeasuredObject | None
