"""Going on from a checkpoint: what is lost, how long the rest takes, and what it costs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from service.domain.checkpoints import Checkpoint
from service.domain.money import dollars, minutes

MARGIN = 1.2
ROUNDED_TO_SECONDS = 300


@dataclass(frozen=True)
class Rest:
    """What is left of a training that goes on. `seconds` of the next job are as expected, None where its pace is not
    known; `lost_micro_usd` what the steps cost that are done again."""

    checkpoint: Checkpoint
    lost_steps: int
    lost_micro_usd: int | None
    seconds: float | None

    @property
    def note(self) -> str:
        """What is told of it."""
        lost = ""
        if self.lost_steps:
            price = "" if self.lost_micro_usd is None else f", {dollars(self.lost_micro_usd)}"
            lost = f"; {self.lost_steps:,} {'step is' if self.lost_steps == 1 else 'steps are'} done again{price}"
        return f"from the checkpoint at step {self.checkpoint.step:,}{lost}"

    @property
    def timeout_seconds(self) -> int | None:
        """A timeout for it: what it takes and a fifth more, in whole five minutes."""
        if self.seconds is None:
            return None
        return math.ceil(MARGIN * self.seconds / ROUNDED_TO_SECONDS) * ROUNDED_TO_SECONDS


def rest_of(
    checkpoint: Checkpoint,
    progress: Mapping[str, Any] | None,
    running_seconds: float,
    from_step: int | None,
    price_per_minute_micro_usd: int,
) -> Rest:
    """The rest of a training, by its `progress` when its last job ended. That job ran for so long, and had gone on from
    a checkpoint itself where `from_step` is given; what it did beside its steps, the next one does again."""
    told = progress or {}
    step, total, rate = told.get("step"), told.get("total_steps"), told.get("steps_per_second")
    lost = max(0, (step or checkpoint.step) - checkpoint.step)
    if not rate or not step or not total:
        return Rest(checkpoint, lost, None if lost else 0, None)
    lost_minutes = minutes(round(1000 * lost / rate)) if lost else 0
    around = max(0.0, running_seconds - (step - (from_step or 0)) / rate)
    left = max(0, total - checkpoint.step) / rate
    return Rest(checkpoint, lost, lost_minutes * price_per_minute_micro_usd, around + left)
