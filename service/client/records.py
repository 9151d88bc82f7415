"""The API's objects about teams, money and webhooks. tests/client/test_records.py holds each field to the OpenAPI
document."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from service.client.record import Record


class Me(Record):
    """Who a key stands for; `team` is None for admins."""

    user: str
    team: str | None
    role: str
    via: str
    key_id: str | None
    scopes: list[str] | None


class Team(Record):
    """A team."""

    name: str
    max_concurrent_runs: int | None
    max_concurrent_runs_per_user: int | None
    paused: bool
    paused_by: str | None
    weight: float
    time_zone: str
    archive: dict[str, Any]
    created_at: datetime


class Limits(Record):
    """How many runs at one time."""

    max_concurrent_runs: int | None
    max_concurrent_runs_per_user: int | None


class Pause(Record):
    """Whether runs may start."""

    paused: bool
    paused_by: str | None


class Stopped(Record):
    """How many runs were asked to end."""

    runs: int
    paused: bool


class Key(Record):
    """An API key, without the key itself."""

    id: str
    team: str | None
    user: str
    name: str
    role: str
    scopes: list[str] | None
    created_at: datetime
    created_by: str
    last_used_at: datetime | None
    expires_at: datetime | None
    revoked_at: datetime | None
    revoked_by: str | None
    replaced_by: str | None


class NewKey(Key):
    """A key as it was made: `key` is shown this once."""

    key: str = Field(repr=False)


class Forecast(Record):
    """Where spending leads."""

    per_day_usd: float
    by_window_end_usd: float | None
    ends_at: datetime | None


class Budget(Record):
    """A budget and its present window, in dollars."""

    name: str
    scope: str
    team: str | None
    user: str | None
    origin: str | None
    period: str
    hard: bool
    carry_over: bool
    thresholds: list[int]
    limit_usd: float
    carried_usd: float
    granted_usd: float
    reserved_usd: float
    charged_usd: float
    outside_usd: float
    outside_unpriced_jobs: int
    remaining_usd: float
    window_start: datetime
    window_end: datetime
    forecast: Forecast


class UsageSum(Record):
    """What some charges come to, in dollars; None is unknown."""

    runs: int
    attempts: int
    minutes: int
    metered_usd: float
    billed_usd: float | None
    drift_usd: float | None
    unbilled_attempts: int
    reserved_usd: float


class Usage(Record):
    """What was spent from `start` up to but not at `end`; a group's names are in `data[n]`, by dimension."""

    start: datetime = Field(alias="from")
    end: datetime = Field(alias="to")
    time_zone: str
    data: list[dict[str, Any]]
    total: UsageSum
    waste: dict[str, Any]


class Flavor(Record):
    """Hugging Face hardware with its price."""

    name: str
    price_per_minute_usd: float
    price_per_hour_usd: float
    price_read_at: datetime
    price_is_fresh: bool
    hardware: dict[str, Any]


class Endpoint(Record):
    """A webhook endpoint."""

    id: str
    team: str | None
    run_id: str | None
    kind: str
    url: str
    description: str | None
    events: list[str]
    created_at: datetime
    rotated_until: datetime | None
    failing_since: datetime | None
    disabled_at: datetime | None
    disabled_because: str | None


class NewEndpoint(Endpoint):
    """An endpoint as it was made: `secret` is shown this once, and None where it was brought along."""

    secret: str | None = Field(repr=False)


class Delivery(Record):
    """An event on its way to an endpoint, with what came of the latest try."""

    id: str
    event_id: str
    event_type: str
    subject: str
    sequence: int
    state: str
    tries: int
    next_try_at: datetime | None
    created_at: datetime
    last_tried_at: datetime | None
    delivered_at: datetime | None
    status: int | None
    error: str | None
    response: str | None
    latency_ms: int | None
    request: dict[str, Any]


class Redelivered(Record):
    """How many deliveries were made anew."""

    deliveries: int
    has_more: bool


class Readiness(Record):
    """Whether requests can be served."""

    ready: bool
    checks: dict[str, Any]


class WebhookEvent(Record):
    """A letter that was verified. `id` is the same for each repeat of it."""

    id: str
    type: str
    timestamp: datetime
    data: dict[str, Any]
