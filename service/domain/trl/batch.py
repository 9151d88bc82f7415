"""How many rows one step learns from, and the ways to split them that leave that number alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from service.domain.trl.flags import Release
from service.domain.trl_sft import Filled, TrlSft

PER_DEVICE, ACCUMULATION = "per_device_train_batch_size", "gradient_accumulation_steps"


@dataclass(frozen=True)
class Split:
    """Rows per GPU and pass, passes per step, GPUs."""

    per_device: int
    accumulation: int
    gpus: int

    @property
    def effective(self) -> int:
        """Rows (sequences, where rows are packed) that one optimizer step learns from."""
        return self.per_device * self.accumulation * self.gpus

    def as_args(self) -> dict[str, int]:
        """The same as flags of TRL."""
        return {PER_DEVICE: self.per_device, ACCUMULATION: self.accumulation}


def split_of(args: Mapping[str, Any], release: Release, gpus: int) -> Split:
    """The split that these flags make on so many GPUs, the release's defaults standing in for what is left out."""
    sizes = [args.get(name, release.flags[name].default) for name in (PER_DEVICE, ACCUMULATION)]
    return Split(int(sizes[0]), int(sizes[1]), max(1, gpus))


def effective_batch(args: Mapping[str, Any], release: Release, gpus: int) -> int:
    """Rows that one optimizer step learns from: per device x accumulation x GPUs."""
    return split_of(args, release, gpus).effective


def with_split(recipe: TrlSft, split: Split) -> TrlSft:
    """The recipe with its batch split so, noted in `filled`."""
    filled = recipe.filled or Filled(preset=None, source="as asked for, but for the batch", asked=recipe.given())
    args = split.as_args()
    return recipe.model_copy(
        update={"args": {**recipe.args, **args}, "filled": filled.model_copy(update={"batch": args})}
    )


def split_on(split: Split, gpus: int) -> Split:
    """The same number of rows per step on so many GPUs, with at most as many rows per GPU and pass; where that number
    cannot be divided so, the nearest that can."""
    rows = split.effective
    for per_device in range(split.per_device, 0, -1):
        if rows % (per_device * gpus) == 0:
            return Split(per_device, rows // (per_device * gpus), gpus)
    per_device = max(1, min(split.per_device, rows // gpus))
    return Split(per_device, max(1, round(rows / (per_device * gpus))), gpus)


def offers(split: Split) -> list[Split]:
    """Splits that need less memory and learn from as many rows per step: the batch halved and the accumulation doubled,
    again and again while the batch is even. Offered, never made: passes over a smaller batch take longer."""
    found = []
    while split.per_device > 1 and split.per_device % 2 == 0:
        split = Split(split.per_device // 2, split.accumulation * 2, split.gpus)
        found.append(split)
    return found
