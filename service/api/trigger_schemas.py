"""The wire's objects about triggers."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from service.api.money_schemas import BudgetPut
from service.api.schedule_schemas import OVERLAP, Name
from service.api.wire import Wire
from service.domain.body import Body
from service.domain.duration import Seconds
from service.domain.hub_name import RepoId
from service.domain.overlap import Overlap

TEMPLATE = (
    "A body of POST /runs. In its texts, but for a script's source, {{revision}} is filled with the new commit, "
    "{{repo}} with the repository, and {{date}}, {{time}} and the others of a schedule with the time in UTC. Where a "
    "`trl_sft` recipe names the repository without a revision, the commit is pinned"
)
DEBOUNCE = "So long nothing more must be told of the repository before it is read again; at the most ten times that"


class TriggerCreate(Body):
    """Which repository's commits make which run."""

    name: Name
    repo_type: Literal["dataset", "model"]
    repo: RepoId = Field(description="The repository on the Hub, as owner/name")
    run: dict[str, Any] = Field(description=TEMPLATE)
    debounce: Seconds = Field(60, description=DEBOUNCE)
    overlap: Overlap = Field(Overlap.QUEUE, strict=False, description=OVERLAP)
    budget: BudgetPut | None = Field(
        None, description="What its runs together may spend in each period; the team's budget binds them as well"
    )
    paused: bool = False
    team: str | None = Field(None, description="For admins, whose keys belong to no team")


class TriggerPatch(Body):
    """Fields to change; what is left out stays."""

    name: Name | None = None
    run: dict[str, Any] | None = Field(None, description=TEMPLATE)
    debounce: Seconds | None = Field(None, description=DEBOUNCE)
    overlap: Overlap | None = Field(None, strict=False, description=OVERLAP)
    budget: BudgetPut | None = Field(None, description="In place of the one of the same period")
    paused: bool | None = None


class LastLook(Wire):
    """The last time that the repository was read, and what came of it."""

    at: datetime
    revision: str | None = Field(description="The newest commit; null where it could not be read")
    outcome: Literal["started", "skipped", "refused"]
    message: str | None = Field(description="Why there is no run; null where there is one")
    run_id: str | None


class TriggerObject(Wire):
    """A trigger."""

    id: str = Field(examples=["trg_0199d1f2c0de"])
    object: Literal["trigger"]
    name: str
    team: str
    owner: str = Field(description="The user whose runs they are")
    repo_type: Literal["dataset", "model"]
    repo: str
    run: dict[str, Any]
    debounce_seconds: int
    overlap: Overlap
    budgets: list[str] = Field(description="Its own budgets by name, as GET /budgets lists them")
    hook: str = Field(description="Where the Hub's webhook is to point; a path where TUNEGATE_PUBLIC_URL is not set")
    paused_at: datetime | None
    paused_by: str | None
    looks_at: datetime | None = Field(description="When the repository is read next; null: nothing was told of it")
    trouble: str | None = Field(description="Why it could not be read, or is not to be yet: it is tried again")
    last: LastLook | None
    created_at: datetime


class NewTriggerObject(TriggerObject):
    """With the secret that the Hub's webhook has to send, shown this once."""

    secret: str


class Hinted(Wire):
    """Whether what was told leads to a look at the repository."""

    accepted: bool
    message: str
