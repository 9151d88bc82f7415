"""The API's objects about what makes runs by itself: schedules, triggers and sweeps. tests/client/test_records.py holds
each field to the OpenAPI document."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from service.client.record import Record


class LastTime(Record):
    """The last time that a schedule came to, and what came of it: `started`, `skipped` or `refused`."""

    planned_at: datetime
    outcome: str
    message: str | None
    run_id: str | None


class Schedule(Record):
    """A schedule; `next_times` is empty while it is paused."""

    id: str
    object: str
    name: str
    team: str
    owner: str
    run: dict[str, Any]
    cron: str | None
    every_seconds: int | None
    time_zone: str
    misfire: str
    overlap: str
    budgets: list[str]
    paused_at: datetime | None
    paused_by: str | None
    next_times: list[datetime]
    last: LastTime | None
    created_at: datetime


class LastLook(Record):
    """The last time that a trigger's repository was read, and what came of it: as of a schedule's time."""

    at: datetime
    revision: str | None
    outcome: str
    message: str | None
    run_id: str | None


class Trigger(Record):
    """A trigger; `looks_at` is None where nothing was told of its repository."""

    id: str
    object: str
    name: str
    team: str
    owner: str
    repo_type: str
    repo: str
    run: dict[str, Any]
    debounce_seconds: int
    overlap: str
    budgets: list[str]
    hook: str
    paused_at: datetime | None
    paused_by: str | None
    looks_at: datetime | None
    trouble: str | None
    last: LastLook | None
    created_at: datetime


class NewTrigger(Trigger):
    """A trigger with its secret, which is shown this once."""

    secret: str = Field(repr=False)


class SweepMoney(Record):
    """A sweep's cap, and what of it is held, spent and left, in dollars."""

    max_cost_usd: float
    reserved_usd: float
    charged_usd: float
    remaining_usd: float


class Rung(Record):
    """After so many evaluations so many points go on; `reached` have come so far."""

    evaluations: int
    goes_on: int
    reached: int


class SweepPoint(Record):
    """A point of a sweep: its run, how well it did, what it cost. None is unknown."""

    number: int
    parameters: dict[str, Any]
    run_id: str
    state: str
    reason: str | None
    message: str | None
    step: int | None
    evaluations: int
    eval_loss: float | None
    at_rungs: dict[str, float | None]
    charged_usd: float | None
    reserved_usd: float
    ceiling_usd: float | None
    output_repo: str | None
    is_best: bool


class BestPoint(Record):
    """The point whose model evaluated best."""

    number: int
    run_id: str
    parameters: dict[str, Any]
    eval_loss: float
    output_repo: str | None
    revision: str | None


class Sweep(Record):
    """A sweep; `best` is the best so far, and once it has ended the best of all."""

    id: str
    object: str
    name: str
    state: str
    is_terminal: bool
    message: str
    team: str
    owner: str
    run: dict[str, Any]
    max_parallel: int | None
    early_stopping: dict[str, Any] | None
    cost: SweepMoney
    budget: str
    states: dict[str, int]
    best: BestPoint | None
    created_at: datetime
    ended_at: datetime | None
    cancelled_at: datetime | None
    cancelled_by: str | None


class SweepTable(Sweep):
    """A sweep with its points, in their order."""

    rungs: list[Rung]
    points: list[SweepPoint]
