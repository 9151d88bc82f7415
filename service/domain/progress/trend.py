"""The losses of a training so far, few enough to be kept with the run, and still the shape of all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf, isfinite
from typing import Any

from service.domain.progress.point import Point

MOST_LOSSES = 200


@dataclass
class Trend:
    """Every `stride`-th loss with its step; a broken one is `inf` (see `domain.losses`). `broken_in_a_row` counts the
    broken ones at the end, with none left out; `broken_step` is the step of the first of these."""

    losses: list[float] = field(default_factory=list)
    steps: list[int | None] = field(default_factory=list)
    count: int = 0
    stride: int = 1
    broken_in_a_row: int = 0
    broken_step: int | None = None

    def take(self, point: Point) -> None:
        """Add what a logging step said of the loss, if it did."""
        if (loss := _loss(point)) is None:
            return
        if isfinite(loss):
            self.broken_in_a_row, self.broken_step = 0, None
        else:
            self.broken_step = point.step if self.broken_in_a_row == 0 else self.broken_step
            self.broken_in_a_row += 1
        if self.count % self.stride == 0:
            self.losses.append(loss)
            self.steps.append(point.step)
        self.count += 1
        if len(self.losses) > MOST_LOSSES:
            self.losses, self.steps, self.stride = self.losses[::2], self.steps[::2], self.stride * 2

    def as_json(self) -> dict[str, Any]:
        """JSON has no infinity: null stands for a broken loss."""
        return {**vars(self), "losses": [loss if isfinite(loss) else None for loss in self.losses]}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Trend:
        """As it was left."""
        return cls(**{**kept, "losses": [inf if loss is None else loss for loss in kept["losses"]]})


def _loss(point: Point) -> float | None:
    if point.kind != "train":
        return None
    if "loss" in point.not_finite:
        return inf
    return point.get("loss")
