"""The wire's objects about sweeps."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    StringConstraints,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from service.api.schedule_schemas import Name
from service.api.wire import Wire
from service.domain.body import Body, Usd
from service.domain.errors import BrokenRule
from service.domain.grid import MOST_POINTS, RESERVED, first_twice, points_of

TEMPLATE = (
    "A body of POST /runs. In its texts, but for a script's source, {{point}} (its number), {{sweep}} (the sweep's id) "
    "and each argument by its name are filled in"
)
ARGUMENTS = (
    "Each argument is a flag of TRL's (`learning_rate`), a field of the recipe (`model_revision`, `lora.r`), or a "
    "placeholder of the template (`{{lr}}`)"
)


def _one_value(value: Any) -> Any:
    parts = value if isinstance(value, list) else [value]
    if not all(isinstance(part, str | int | float) for part in parts):
        raise BrokenRule("a value is a text, a number, true, false, or a list of such", "Give one of these.")
    return value


Argument = Annotated[
    str, StringConstraints(max_length=100, pattern=r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$")
]
ONE = [{"type": kind} for kind in ("string", "number", "boolean")]
Value = Annotated[
    Any,
    AfterValidator(_one_value),
    WithJsonSchema({"anyOf": [*ONE, {"type": "array", "items": {"anyOf": ONE}}]}),
]


class EarlyStopping(Body):
    """Successive halving by the loss of evaluations: of N points the best N/factor go on from the first rung,
    N/factor² from the second, down to one. What does not is cancelled, and its money goes back to the sweep."""

    factor: int = Field(3, ge=2, le=10, description="One in so many goes on")
    first_evaluation: int = Field(
        1, ge=1, le=10_000, description="After how many evaluations points are compared first; then `factor` times that"
    )


class SweepCreate(Body):
    """One run for each point of `grid`, or for each of `points`."""

    name: Name
    run: dict[str, Any] = Field(description=TEMPLATE)
    grid: dict[Argument, Annotated[list[Value], Field(min_length=1, max_length=MOST_POINTS)]] | None = Field(
        None,
        min_length=1,
        max_length=20,
        description=f"Every combination of these values. {ARGUMENTS}",
        examples=[{"learning_rate": [1e-5, 5e-5], "lora.r": [8, 16]}],
    )
    points: list[Annotated[dict[Argument, Value], Field(min_length=1, max_length=20)]] | None = Field(
        None, min_length=1, max_length=MOST_POINTS, description="The points one by one, where a grid has too many"
    )
    max_cost_usd: Usd = Field(description="What all of its runs together may cost; the team's budgets bind too")
    max_parallel: int | None = Field(
        None, ge=1, le=MOST_POINTS, description="How many of its runs are active at once; left out: as the limits let"
    )
    early_stopping: EarlyStopping | None = None
    team: str | None = Field(None, description="For admins, whose keys belong to no team")

    @field_validator("grid")
    @classmethod
    def _is_small(cls, grid: dict[str, list[Any]] | None) -> dict[str, list[Any]] | None:
        if grid is not None:
            points_of(grid)
        return grid

    @model_validator(mode="after")
    def _has_points(self) -> Self:
        if (self.grid is None) == (self.points is None):
            remedy = "Leave the other out." if self.grid else 'Add "grid": {"learning_rate": [1e-5, 5e-5]}, say.'
            raise BrokenRule("give one of 'grid' and 'points'", remedy, at="grid")
        if (same := first_twice(self.asked())) is not None:
            raise BrokenRule(
                f"points {same[0]} and {same[1]} are the same",
                "Name each once: a second run of the same would cost as much and tell nothing.",
                at="grid" if self.points is None else f"points.{same[1] - 1}",
            )
        return self

    @model_validator(mode="after")
    def _names_are_free(self) -> Self:
        for index, point in enumerate(self.asked()):
            if taken := RESERVED & point.keys():
                name = min(taken)
                at = f"grid.{name}" if self.points is None else f"points.{index}.{name}"
                raise BrokenRule(f"'{name}' is filled in by the service", "Give the argument another name.", at=at)
        return self

    def asked(self) -> list[dict[str, Any]]:
        """The points in their order."""
        return points_of(self.grid) if self.grid is not None else list(self.points or ())


class SweepPatch(Body):
    """Fields to change; what is left out stays."""

    name: Name | None = None
    max_cost_usd: Usd | None = None
    max_parallel: int | None = Field(None, ge=1, le=MOST_POINTS)


class SweepMoney(Wire):
    """The sweep's cap, and what of it is held, spent and left."""

    max_cost_usd: float
    reserved_usd: float
    charged_usd: float
    remaining_usd: float


class RungObject(Wire):
    """After so many evaluations so many points go on."""

    evaluations: int
    goes_on: int
    reached: int = Field(description="How many points have come so far")


class SweepPointObject(Wire):
    """A point of a sweep: its run, how well it did, and what it cost."""

    number: int
    parameters: dict[str, Any]
    run_id: str
    state: Literal["queued", "submitting", "starting", "running", "succeeded", "failed", "cancelled"]
    reason: str | None
    message: str | None
    step: int | None = Field(description="Of its last evaluation")
    evaluations: int
    eval_loss: float | None = Field(description="Of its last evaluation; null: there was none, or it was no number")
    at_rungs: dict[str, float | None] = Field(description="Its loss at each rung, by the number of evaluations")
    charged_usd: float | None = Field(description="With its pilot and its follow-ups; null: nothing was charged yet")
    reserved_usd: float
    ceiling_usd: float | None = Field(description="The most that one attempt can cost")
    output_repo: str | None
    is_best: bool = Field(description="The lowest loss of those that have succeeded so far")


class BestPoint(Wire):
    """The point whose model evaluated best."""

    number: int
    run_id: str
    parameters: dict[str, Any]
    eval_loss: float
    output_repo: str | None
    revision: str | None


class SweepObject(Wire):
    """A sweep. `best` names the best point so far; once it has ended, the best of all."""

    id: str = Field(examples=["swp_0199d1f2c0de"])
    object: Literal["sweep"]
    name: str
    state: Literal["running", "ended", "cancelled"]
    is_terminal: bool
    message: str = Field(description="How far it is, and which point is the best; or why none can be named")
    team: str
    owner: str = Field(description="The user whose runs they are")
    run: dict[str, Any]
    max_parallel: int | None
    early_stopping: EarlyStopping | None
    cost: SweepMoney
    budget: str = Field(description="Its cap as a budget, as GET /budgets lists it while the sweep goes on")
    states: dict[str, int] = Field(description="How many points are in each state")
    best: BestPoint | None
    created_at: datetime
    ended_at: datetime | None
    cancelled_at: datetime | None
    cancelled_by: str | None


class SweepTable(SweepObject):
    """A sweep with its points, in their order."""

    rungs: list[RungObject]
    points: list[SweepPointObject]
