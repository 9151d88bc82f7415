"""The wire's objects about schedules."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from service.api.money_schemas import BudgetPut
from service.api.wire import Wire
from service.domain.body import Body
from service.domain.duration import Seconds
from service.domain.errors import BrokenRule
from service.domain.overlap import Overlap
from service.domain.schedule import Misfire, checked_cron

Name = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]*$")]
Cron = Annotated[str, StringConstraints(max_length=200)]
ZoneName = Annotated[str, StringConstraints(max_length=100)]
WHEN = "Five fields, such as `30 2 * * 1-5`, in the schedule's time zone"
TEMPLATE = (
    "A body of POST /runs. In its texts, but for a script's source, {{date}}, {{time}}, {{year}}, {{month}}, {{day}}, "
    "{{hour}}, {{minute}}, {{week}} and {{timestamp}} are filled with the time that a run is planned for"
)
OVERLAP = (
    "What becomes of a time at which an earlier run of it has not ended: `skip`: no run; `queue`: a run that starts "
    "once that one has ended; `cancel_previous`: that one is cancelled"
)
MISFIRE = (
    "What becomes of times that passed by more than five minutes while the service was down: `skip`: nothing; "
    "`run_once`: one run, for the last of them"
)


class _Timed(Body):
    @field_validator("cron", check_fields=False)
    @classmethod
    def _is_cron(cls, text: str | None) -> str | None:
        return None if text is None else checked_cron(text)


class ScheduleCreate(_Timed):
    """When which run is made: give `cron` or `every`."""

    name: Name
    run: dict[str, Any] = Field(description=TEMPLATE)
    cron: Cron | None = Field(None, description=WHEN)
    every: Seconds | None = Field(None, description="An interval, counted from the schedule's beginning")
    time_zone: ZoneName = Field("UTC", examples=["Europe/Berlin"])
    misfire: Misfire = Field(Misfire.RUN_ONCE, strict=False, description=MISFIRE)
    overlap: Overlap = Field(Overlap.SKIP, strict=False, description=OVERLAP)
    budget: BudgetPut | None = Field(
        None, description="What its runs together may spend in each period; the team's budget binds them as well"
    )
    paused: bool = False
    team: str | None = Field(None, description="For admins, whose keys belong to no team")

    @model_validator(mode="after")
    def _has_one_time(self) -> Self:
        if (self.cron is None) == (self.every is None):
            remedy = "Leave the other out." if self.cron else 'Add "cron": "30 2 * * *" or "every": "6h".'
            raise BrokenRule("give one of 'cron' and 'every'", remedy, at="cron")
        return self


class SchedulePatch(_Timed):
    """Fields to change; what is left out stays. `cron` takes the place of `every`, and the other way round."""

    name: Name | None = None
    run: dict[str, Any] | None = Field(None, description=TEMPLATE)
    cron: Cron | None = Field(None, description=WHEN)
    every: Seconds | None = None
    time_zone: ZoneName | None = None
    misfire: Misfire | None = Field(None, strict=False, description=MISFIRE)
    overlap: Overlap | None = Field(None, strict=False, description=OVERLAP)
    budget: BudgetPut | None = Field(None, description="In place of the one of the same period")
    paused: bool | None = None

    @model_validator(mode="after")
    def _has_one_time(self) -> Self:
        if self.cron is not None and self.every is not None:
            raise BrokenRule("give one of 'cron' and 'every'", "Leave the other out.", at="cron")
        return self


class LastTime(Wire):
    """The last time that a schedule came to, and what came of it."""

    planned_at: datetime
    outcome: Literal["started", "skipped", "refused"]
    message: str | None = Field(description="Why there is no run; null where there is one")
    run_id: str | None


class ScheduleObject(Wire):
    """A schedule."""

    id: str = Field(examples=["sch_0199d1f2c0de"])
    object: Literal["schedule"]
    name: str
    team: str
    owner: str = Field(description="The user whose runs they are")
    run: dict[str, Any]
    cron: str | None
    every_seconds: int | None
    time_zone: str
    misfire: Misfire
    overlap: Overlap
    budgets: list[str] = Field(description="Its own budgets by name, as GET /budgets lists them")
    paused_at: datetime | None
    paused_by: str | None
    next_times: list[datetime] = Field(description="The next five; none while it is paused")
    last: LastTime | None
    created_at: datetime
