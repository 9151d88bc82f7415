"""The wire's objects about teams, their keys and limits, and the organisation above them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from service.api.wire import Wire
from service.domain.body import Body
from service.domain.form import Form

TeamName = Annotated[
    str,
    Form(
        r"[a-z0-9][a-z0-9-]{0,62}", "a team's name is of lower-case letters, digits and '-'", "Write it as 'research'."
    ),
]
Name = Annotated[
    str,
    Form(r"[^\x00-\x1f\x7f]{1,100}", "a name is 1 to 100 characters, without line breaks", "Write it in one line."),
]


class TeamCreate(Body):
    """A new team."""

    name: TeamName


class ArchiveObject(Wire):
    """Whether a team is open; `archiving` until its last run has ended."""

    state: Literal["open", "archiving", "archived"]
    since: datetime | None
    by: str | None


class TeamObject(Wire):
    """A team. `paused`: none of its runs starts."""

    name: str
    max_concurrent_runs: int | None
    max_concurrent_runs_per_user: int | None
    paused: bool
    paused_by: str | None
    weight: float
    time_zone: str
    archive: ArchiveObject
    created_at: datetime


class TeamArchive(Body):
    """What becomes of the runs that a team has still."""

    runs: Literal["drain", "cancel"] = Field("drain", description="Let them end, or cancel them")


Slots = Annotated[int, Field(ge=0, le=100_000)]


class TeamPatch(Body):
    """What to change of a team; what is left out stays."""

    weight: float | None = Field(None, gt=0, le=1000, description="A team of weight 2 may use twice the dollars")
    time_zone: str | None = Field(None, max_length=64, examples=["Europe/Berlin"])


class LimitsPut(Body):
    """How many of a team's runs may be active, and of each of its users; null is no limit of the team's own."""

    max_concurrent_runs: Slots | None = None
    max_concurrent_runs_per_user: Slots | None = None


class LimitsObject(Wire):
    """A team's limits."""

    max_concurrent_runs: int | None
    max_concurrent_runs_per_user: int | None


class OrganisationPatch(Body):
    """What to change of what holds for all teams together; what is left out stays."""

    time_zone: str | None = Field(None, max_length=64, description="In which the organisation's budget windows begin")
    max_concurrent_runs: Slots | None = Field(None, description="null: no limit beyond the installation's own")
    max_concurrent_runs_by_flavor: dict[str, Slots] | None = Field(
        None, max_length=200, description="All of them: a flavor that is not named has no limit any more"
    )
    max_concurrent_runs_by_namespace: dict[str, Slots] | None = Field(None, max_length=200, description="All of them")
    counts_outside: bool | None = Field(
        None, description="Whether jobs that did not come through the gate count against the organisation's budgets"
    )


class OrganisationObject(Wire):
    """What holds for all teams together. `paused`: the whole queue is, and no run starts."""

    paused: bool
    paused_by: str | None
    time_zone: str
    max_concurrent_runs: int | None
    max_concurrent_runs_by_flavor: dict[str, int]
    max_concurrent_runs_by_namespace: dict[str, int]
    counts_outside: bool
