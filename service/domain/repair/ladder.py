"""The ladder out of a GPU that was full: changes that need less memory, the least intrusive first.

Halving the batch and doubling the accumulation learns from as many rows per step, only slower. bfloat16 and gradient
checkpointing cost precision or time. Shorter rows and adapters are another training: only where the caller allows it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from service.domain.changed import CHECKPOINTING
from service.domain.estimate.card import Flavor
from service.domain.repair.again import Setting
from service.domain.trl.batch import Split, split_of, split_on
from service.domain.trl.fields import Lora
from service.domain.trl.flags import release
from service.domain.trl.hardware import hardware_refusal
from service.domain.trl.rules import broken
from service.domain.trl_sft import TrlSft

SHORTEST_ROWS = 256
# TRL's documentation on PEFT: adapters want about ten times the learning rate of full fine-tuning.
LORA_RATE = 10


@dataclass(frozen=True)
class Rung:
    """A recipe that needs less memory than the one that failed, what was changed, and what stays."""

    recipe: TrlSft
    settings: tuple[Setting, ...]
    note: str


def rungs(recipe: TrlSft, flavor: Flavor, allowed: Collection[str]) -> Iterator[Rung]:
    """The changes for the same flavor, each for itself, in the order in which they are tried; without those that break
    a rule of the release or that the card cannot follow."""
    known = release(recipe.trl_version)
    for rung in _rungs(recipe, max(1, flavor.gpus), allowed):
        flags = rung.recipe.flags()
        if broken(flags, known) is None and hardware_refusal(flags, flavor) is None:
            yield rung


def on_flavor(recipe: TrlSft, gpus_before: int, gpus: int) -> tuple[TrlSft, tuple[Setting, ...], str]:
    """The recipe for another number of GPUs, with as many rows per step."""
    before = split_of(recipe.flags(), release(recipe.trl_version), gpus_before)
    after = split_on(before, gpus)
    if after.gpus == before.gpus:
        return recipe, (), _kept(before)
    note = _kept(after) if after.effective == before.effective else f"{after.effective} rows per step"
    return (*_with(recipe, after.as_args()), note)


def _rungs(recipe: TrlSft, gpus: int, allowed: Collection[str]) -> Iterator[Rung]:
    flags, known = recipe.flags(), release(recipe.trl_version)
    for split in _splits(split_of(flags, known, gpus)):
        yield Rung(*_with(recipe, split.as_args()), _kept(split))
    if flags.get("bf16") is False and not flags.get("fp16"):
        yield Rung(*_with(recipe, {"bf16": True}), "")
    old, new = CHECKPOINTING
    name = new if flags.get(new) is not None else old
    if flags.get(name) is False:
        yield Rung(*_with(recipe, {name: True}), "slower by about a quarter, with the same result")
    length = flags.get("max_length", known.flags["max_length"].default)
    if "max_length" in allowed and isinstance(length, int) and length // 2 >= SHORTEST_ROWS:
        yield Rung(*_with(recipe, {"max_length": length // 2}), "longer rows are cut")
    if "lora" in allowed and recipe.lora is None:
        yield _adapters(recipe)


def _splits(split: Split) -> Iterator[Split]:
    """The batch divided by its smallest factors, one after another, and the accumulation multiplied by them."""
    while split.per_device > 1:
        factor = next(one for one in range(2, split.per_device + 1) if split.per_device % one == 0)
        split = Split(split.per_device // factor, split.accumulation * factor, split.gpus)
        yield split


def _adapters(recipe: TrlSft) -> Rung:
    rate = recipe.flags().get("learning_rate", release(recipe.trl_version).flags["learning_rate"].default)
    made, settings = _with(recipe, {"learning_rate": float(f"{LORA_RATE * float(rate):.6g}")})
    lora = Lora()
    made = made.model_copy(update={"lora": lora})
    shown = Setting("recipe.lora", None, lora.model_dump(mode="json", exclude_none=True))
    return Rung(made, (shown, *settings), "adapters are trained in place of all weights")


def _with(recipe: TrlSft, args: dict[str, Any]) -> tuple[TrlSft, tuple[Setting, ...]]:
    """With flags set for good: what a preset filled in around them is as it was."""
    flags, known = recipe.flags(), release(recipe.trl_version)
    settings = tuple(
        Setting(recipe.field_of(name), flags.get(name, known.flags[name].default), value)
        for name, value in args.items()
        if flags.get(name, known.flags[name].default) != value
    )
    update: dict[str, Any] = {"args": {**recipe.args, **args}}
    if (filled := recipe.filled) is not None:
        asked = {**filled.asked, "args": {**filled.asked["args"], **args}}
        update["filled"] = filled.model_copy(update={"asked": asked})
    return recipe.model_copy(update=update), settings


def _kept(split: Split) -> str:
    return f"{split.effective} rows per step, as before"
