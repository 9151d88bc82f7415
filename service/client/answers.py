"""What the API answers about runs beside the run itself. tests/client/test_records.py holds each field to the OpenAPI
document."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from service.client.record import Record


class Event(Record):
    """A change; `sequence` orders a run's events, `position` all."""

    id: str
    position: int | None
    sequence: int
    type: str
    timestamp: datetime
    data: dict[str, Any]


class LedgerEntry(Record):
    """Money that moved: amount = price per minute x minutes."""

    kind: str
    amount_usd: float
    attempt: int
    price_per_minute_usd: float
    minutes: int
    budget: str | None
    budgets: list[str]
    at: datetime


class LogLine(Record):
    """A line of a job's log; `number` counts from 0 in each attempt, which is None in an answer about one alone."""

    attempt: int | None = None
    number: int
    timestamp: str
    line: str


class Log(Record):
    """What is kept of an attempt's log."""

    data: list[LogLine]
    attempt: int
    is_kept: bool
    is_whole: bool
    state: str | None


class Point(Record):
    """Numbers of a training at one step."""

    kind: str
    step: int | None
    at: str | None
    numbers: dict[str, float]
    not_finite: list[str]


class Series(Record):
    """A training's numbers in the order in which they came."""

    data: list[Point]
    attempt: int


class Gate(Record):
    """One gate that a run passes, or does not: in slots or dollars."""

    gate: str
    passed: bool
    reason: str | None
    message: str
    have: float | None
    need: float | None
    fits_at: datetime | None


class Help(Record):
    """A change, and what it would bring."""

    change: str
    effect: str


class Explanation(Record):
    """Why a run is where it is."""

    run_id: str
    state: str
    reason: str | None
    message: str | None
    position: int | None
    earliest_start: datetime | None
    gates: list[Gate]
    would_help: list[Help]
    assumption: str


class QueueItem(Record):
    """A queued run in its place."""

    run_id: str
    team: str
    position: int | None
    reason: str | None
    message: str | None
    earliest_start: datetime | None


class FlavorEstimate(Record):
    """What a training would need on one flavor: gibibytes, minutes and dollars, each None where it is not known."""

    flavor: str
    verdict: str
    message: str
    vram_gib: float | None
    usable_gib: float | None
    disk_gb: float | None
    minutes: dict[str, float] | None
    timeout_seconds: int | None
    cost_usd: dict[str, float] | None
    calibration: dict[str, Any]


class Estimate(Record):
    """What a run would need and cost; nothing was stored."""

    flavors: list[FlavorEstimate]
    recommended: str | None
    memory: dict[str, Any] | None
    change: dict[str, Any] | None
    choice: dict[str, Any]
    splits: list[dict[str, Any]]
    pilot: dict[str, Any] | None
    warnings: list[str]
    command: str | None
    recipe: dict[str, Any]
