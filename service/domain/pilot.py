"""A pilot: a few steps of a run first, cheap and without publishing, to measure what would otherwise be guessed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from service.domain.body import Body
from service.domain.flavor_name import FlavorName
from service.domain.trl_sft import TrlSft

TIMEOUT_SECONDS = 600
# A timeout leaves this much beside what the measured speed comes to: the first steps are not like all others.
MARGIN = 1.5
ROUNDED_TO_SECONDS = 300
# What a pilot does not do: it saves, evaluates and publishes nothing.
WITHOUT = {"save_strategy": "no", "eval_strategy": "no"}


class Pilot(Body):
    """`max_steps` of the run as a child run of at most ten minutes. The run starts only if it passes; with `confirm` it
    then waits for an approval with the measured numbers."""

    max_steps: int = Field(20, ge=1, le=1000)
    flavor: FlavorName | None = Field(None, description="Another flavor for the pilot; the run's own if left out")
    confirm: bool = False


@dataclass(frozen=True)
class Measured:
    """What a pilot showed, in seconds: one step, and everything around the steps."""

    step_seconds: float
    around_seconds: float

    def seconds(self, steps: int) -> float:
        """How long so many steps take on the same hardware."""
        return self.around_seconds + self.step_seconds * steps

    def timeout_seconds(self, steps: int) -> int:
        """A timeout for so many steps, in whole five minutes."""
        return math.ceil(MARGIN * self.seconds(steps) / ROUNDED_TO_SECONDS) * ROUNDED_TO_SECONDS


def pilot_recipe(recipe: TrlSft, pilot: Pilot) -> TrlSft:
    """The same recipe for a few steps."""
    recipe = recipe.as_asked()
    args = {name: value for name, value in recipe.args.items() if name != "num_train_epochs"}
    return recipe.model_copy(update={"args": {**args, **WITHOUT, "max_steps": pilot.max_steps}, "eval": None})


def measured(progress: Mapping[str, Any] | None, running_seconds: float | None) -> Measured | None:
    """Read from a pilot that has ended: Trainer's own `train_runtime` over its steps, and the rest of the job's time.
    None where the log did not say."""
    told = progress or {}
    train_seconds, steps = told.get("train_seconds"), told.get("total_steps") or told.get("step")
    if not train_seconds or not steps or running_seconds is None:
        return None
    return Measured(train_seconds / steps, max(0.0, running_seconds - train_seconds))
