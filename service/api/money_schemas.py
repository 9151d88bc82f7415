"""The wire's objects about money."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints, field_validator, model_validator

from service.api.wire import Wire
from service.domain.body import Body, Usd, UsdChange
from service.domain.budget import DEFAULT_THRESHOLDS
from service.domain.stray import Action, Kind

Comment = Annotated[str, StringConstraints(min_length=1, max_length=1000)]


class BudgetPut(Body):
    """What may be spent in each period. Windows begin and end in the team's time zone."""

    period: Literal["day", "week", "month", "total"] = "month"
    limit_usd: Usd
    hard: bool = Field(True, description="Hard: nothing is admitted past it. Soft: it only warns")
    carry_over: bool = Field(False, description="Unspent money goes to the next window, at most one period's limit")
    thresholds: list[Annotated[int, Field(ge=1, le=1000)]] = Field(
        list(DEFAULT_THRESHOLDS), max_length=20, description="Percent of the limit at which to warn, as events"
    )

    @field_validator("thresholds")
    @classmethod
    def _each_once(cls, thresholds: list[int]) -> list[int]:
        if len(set(thresholds)) < len(thresholds):
            raise ValueError("a threshold is told of once: name each once")
        return thresholds

    @model_validator(mode="after")
    def _carries_somewhere(self) -> BudgetPut:
        if self.carry_over and self.period == "total":
            raise ValueError("'carry_over' needs a period that ends: 'total' has no next window")
        return self


class GrantCreate(Body):
    """Money for the present window alone; a negative amount takes back what was granted in it."""

    amount_usd: UsdChange
    comment: Comment | None = None

    @field_validator("amount_usd")
    @classmethod
    def _something(cls, amount: Decimal) -> Decimal:
        if amount == 0:
            raise ValueError("an amount of 0 changes nothing")
        return amount


class ForecastObject(Wire):
    """Where spending leads at the rate of the last seven days (or of the window, if that is shorter)."""

    per_day_usd: float
    by_window_end_usd: float | None
    ends_at: datetime | None = Field(description="When the money is spent; null if it lasts")


class BudgetObject(Wire):
    """A budget and its present window: `remaining` = limit + carried + granted − reserved − charged, and less
    `outside_usd` where the organisation counts it."""

    name: str
    scope: Literal["organisation", "team", "user", "origin"]
    team: str | None
    user: str | None
    origin: str | None = Field(description="The schedule or trigger whose runs it bounds")
    period: Literal["day", "week", "month", "total"]
    hard: bool
    carry_over: bool
    thresholds: list[int]
    limit_usd: float
    carried_usd: float
    granted_usd: float
    reserved_usd: float
    charged_usd: float
    outside_usd: float = Field(description="Jobs outside the gate; shown for the organisation's budgets")
    outside_unpriced_jobs: int = Field(description="How many of those have no known price: they are in no sum")
    remaining_usd: float
    window_start: datetime
    window_end: datetime
    forecast: ForecastObject


class BurnDownStep(Wire):
    """From `from` up to but not at `to`."""

    model_config = ConfigDict(populate_by_name=True)

    from_: datetime = Field(alias="from")
    to: datetime
    charged_usd: float


class BurnDownObject(Wire):
    """How the present window was spent; steps in which nothing was charged are left out."""

    window_start: datetime
    window_end: datetime
    time_zone: str = Field(description="In which days begin")
    data: list[BurnDownStep]


class StrayJobObject(Wire):
    """The job on Hugging Face."""

    id: str
    url: str


class StrayObject(Wire):
    """A job that nobody here asked for. Dollars are to now while it runs; `cost_usd` null: its price is not known."""

    id: str
    kind: Kind
    action: Action
    namespace: str
    hub_job: StrayJobObject
    run_id: str | None = Field(description="The run that its labels name, whether there is one or not")
    team: str | None
    initiator: str | None = Field(description="Who started it, such as `duplicated-job/…`")
    flavor: str | None
    price_per_minute_usd: float | None
    timeout_seconds: int | None
    minutes: int
    cost_usd: float | None
    stopped_usd: float = Field(description="What its timeout would have allowed beyond, where it was cancelled here")
    started_at: datetime | None
    ended_at: datetime | None
    first_seen_at: datetime
    last_seen_at: datetime
