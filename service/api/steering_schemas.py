"""The wire's objects about steering what waits."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, StringConstraints, field_validator, model_validator

from service.api.money_schemas import Comment
from service.api.wire import Wire
from service.domain.approval import EXPIRES_AFTER
from service.domain.body import Body, Usd
from service.domain.clear_text import ClearBody
from service.domain.duration import Seconds
from service.domain.errors import BrokenRule
from service.domain.flavor_name import FlavorName
from service.domain.follow_up import MOST_FOLLOW_UPS, FollowUp
from service.domain.hub_name import RepoId
from service.domain.remedy import CHANGEABLE
from service.domain.request import RunRequest, check_labels
from service.domain.secret_ref import Secrets


class Decision(Body):
    """An approval or a refusal."""

    comment: Comment | None = None


class TeamStop(Body):
    """The kill switch."""

    pause: bool = Field(False, description="Also pause the team, so that nothing starts afterwards")


class StopObject(Wire):
    """How many runs were asked to end, and whether the team is paused."""

    runs: int
    paused: bool


class PauseObject(Wire):
    """Whether runs may start."""

    paused: bool
    paused_by: str | None


class RunRetry(Body):
    """How a run that has ended is submitted anew."""

    with_remedy: bool = Field(False, description="With the change that `failure.repair` offers")
    overrides: dict[str, Any] = Field(
        default_factory=dict,
        max_length=100,
        description="Fields of POST /runs in place of the run's own; of `recipe` and its `args`, those named alone",
        examples=[{"timeout": "4h", "recipe": {"args": {"learning_rate": 1e-5}}}],
    )
    secrets: Secrets = Field(
        default_factory=dict,
        description="Their values again, which were wiped when the run ended; or others. What it took by the name of a "
        "secret of the team's needs no repeating",
    )

    @field_validator("overrides")
    @classmethod
    def _not_these(cls, overrides: dict[str, Any]) -> dict[str, Any]:
        if "secrets" in overrides:
            raise BrokenRule("'secrets' are given beside 'overrides'", "Move them out of 'overrides'.", at="secrets")
        if "team" in overrides:
            raise BrokenRule("a run stays with its team", "Leave 'team' out.", at="team")
        return overrides


class RunRescue(Body):
    """Where a rescued model goes."""

    output_repo: RepoId | None = Field(None, description="Another repository than the run's own")


class RunThen(ClearBody):
    """What is to follow a run."""

    then: list[FollowUp] = Field(min_length=1, max_length=MOST_FOLLOW_UPS, description="In this order")


class RunPatch(ClearBody):
    """What to change of a queued run; what is left out stays."""

    flavor: FlavorName | None = None
    priority: Annotated[int, Field(ge=0, le=100)] | None = None
    timeout: Seconds | None = None
    labels: dict[str, str] | None = Field(None, max_length=50, description="In place of those it has")

    @model_validator(mode="after")
    def _changes_something(self) -> RunPatch:
        for name in self.model_fields_set:
            if getattr(self, name) is None:
                raise BrokenRule("null changes nothing", "Send a value, or leave it out.", at=name)
        if not self.model_fields_set:
            raise BrokenRule("there is nothing to change", f"Send one of {', '.join(CHANGEABLE)}.")
        return self

    @classmethod
    def suggestion(cls, name: str) -> str:
        """Of the other fields of a run, that they take a new one."""
        if name in RunRequest.model_fields:
            return f"Of a queued run, {', '.join(CHANGEABLE)} can be changed. For another {name}, submit it anew."
        return super().suggestion(name)

    @field_validator("labels")
    @classmethod
    def _label_form(cls, labels: dict[str, str] | None) -> dict[str, str] | None:
        return None if labels is None else check_labels(labels)


class ApprovalRulesPut(Body):
    """What needs approval before it starts; any rule that applies holds a run."""

    cost_over_usd: Usd | None = Field(None, description="Runs that can cost more than this")
    flavors: list[Annotated[str, StringConstraints(max_length=64)]] = Field(default_factory=list, max_length=200)
    first_run_of_user: bool = False
    expires_after: Seconds = Field(int(EXPIRES_AFTER.total_seconds()), description="Not approved by then: cancelled")


class ApprovalRulesObject(Wire):
    """A team's rules."""

    cost_over_usd: float | None
    flavors: list[str]
    first_run_of_user: bool
    expires_after_seconds: int
