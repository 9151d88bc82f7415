"""The wire's objects about the queue."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from service.api.wire import Wire


class QueueItem(Wire):
    """A queued run in its place."""

    run_id: str
    team: str
    position: int | None = Field(
        description="Over all teams, from 1, beyond ten thousand only about right; null for a run that is held"
    )
    reason: str | None
    message: str | None
    earliest_start: datetime | None = Field(description="By upper bounds; null where it is further off than is looked")


class GateObject(Wire):
    """One gate: what there is (`have`) and what the run needs, in slots or dollars."""

    gate: str
    passed: bool
    reason: str | None
    message: str
    have: float | None
    need: float | None
    fits_at: datetime | None = Field(
        description="When money that is short is there at the latest; null where an end or people must bring it"
    )


class HelpObject(Wire):
    """A change, tried by the rules themselves, and what it would bring."""

    change: str
    effect: str


class ExplanationObject(Wire):
    """Why a run is where it is."""

    run_id: str
    state: str
    reason: str | None
    message: str | None
    position: int | None = Field(description="As GET /queue has it")
    earliest_start: datetime | None
    gates: list[GateObject]
    would_help: list[HelpObject]
    assumption: str = Field(description="The one assumption in `earliest_start`: how long hardware takes")
