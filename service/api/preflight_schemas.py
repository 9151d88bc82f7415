"""What was found out about a run before it starts, on the wire: preflight's checks and a pilot's measures."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel


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
    """What a pilot showed: one step, everything around the steps, and what the run's own steps come to by it."""

    step_seconds: float
    around_seconds: float
    steps: int
    expected_minutes: float


class PilotObject(BaseModel):
    """The child run that goes before; `measured` is null until it has passed, or where its log did not say."""

    run_id: str
    max_steps: int
    confirm: bool
    measured: MeasuredObject | None
