"""`"preset": "auto"`: what a caller left out, filled from published recipes for the model's family and the flavor."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from service.domain.trl.batch import ACCUMULATION, PER_DEVICE, Split, split_on
from service.domain.trl.fields import Lora
from service.domain.trl.flags import release
from service.domain.trl.rules import broken
from service.domain.trl_sft import Filled, TrlSft

# The family by the name of the model's repository, where its config was not read.
FAMILIES = {
    "smollm3": re.compile(r"smollm-?3"),
    "qwen3": re.compile(r"qwen3(?![.\d])(?!-(vl|omni|next|coder-next|embedding|reranker))"),
    "llama3": re.compile(r"llama-?3"),
    "gemma": re.compile(r"^gemma"),
    "mistral": re.compile(r"^mistral"),
}

# The same by config.json's `model_type`, which knows a model under any name. All Llamas share one type; the third
# generation has a vocabulary of its own.
TYPES = {
    "smollm3": "smollm3",
    "qwen3": "qwen3",
    "gemma": "gemma",
    "gemma2": "gemma",
    "gemma3": "gemma",
    "gemma3_text": "gemma",
    "mistral": "mistral",
}
LLAMA3_VOCABULARY = 128_256

# Flags that mean something together: where the caller gave one of them, none of the others is filled.
TOGETHER = (
    {"per_device_train_batch_size", "gradient_accumulation_steps"},
    {"num_train_epochs", "max_steps"},
    {"bf16", "fp16", "dtype"},
    {"lr_scheduler_type", "lr_scheduler_kwargs"},
    {"warmup_steps", "warmup_ratio"},
)
LORA_TOGETHER = ({"r", "alpha"},)


@dataclass(frozen=True)
class Preset:
    """One entry of presets.toml; `source` says where its numbers are from, `gpus` on how many GPUs its batch stands
    there."""

    name: str
    source: str
    args: dict[str, Any]
    lora: dict[str, Any] = field(default_factory=dict)
    family: str | None = None
    mode: str | None = None
    flavors: tuple[str, ...] = ()
    gpus: int | None = None

    @property
    def told(self) -> str:
        """The source, with the number of GPUs."""
        if self.gpus is None:
            return self.source
        return f"{self.source} (on {self.gpus} GPU{'s' if self.gpus > 1 else ''})"

    def args_on(self, gpus: int) -> dict[str, Any]:
        """Its flags for so many GPUs: with as many rows per step as in the source, where that divides."""
        if self.gpus is None or PER_DEVICE not in self.args:
            return self.args
        there = Split(self.args[PER_DEVICE], self.args[ACCUMULATION], self.gpus)
        return {**self.args, **split_on(there, gpus).as_args()}

    def fits(self, family: str | None, mode: str, flavor: str) -> bool:
        """Whether it is meant for this model, way of training and flavor."""
        return (
            self.family in (None, family) and self.mode in (None, mode) and (not self.flavors or flavor in self.flavors)
        )


@cache
def presets() -> tuple[Preset, ...]:
    """All presets, those for certain flavors first: they go before what is known of a family alone."""
    document = tomllib.loads(files("service.domain.trl").joinpath("presets.toml").read_text("utf-8"))
    found = [Preset(**{**one, "flavors": tuple(one.get("flavors", ()))}) for one in document["preset"]]
    return tuple(sorted(found, key=lambda one: not one.flavors))


def family_of(model: str) -> str | None:
    """The family that a model's id names, or None."""
    name = model.rpartition("/")[2].lower()
    return next((family for family, pattern in FAMILIES.items() if pattern.search(name)), None)


def family_in(config: Mapping[str, Any] | None) -> str | None:
    """The family that a model's config.json names, or None."""
    told = config or {}
    if told.get("model_type") == "llama":
        return "llama3" if told.get("vocab_size") == LLAMA3_VOCABULARY else None
    return TYPES.get(str(told.get("model_type")))


def fill(recipe: TrlSft, flavor: str, family: str | None = None, gpus: int = 1) -> TrlSft:
    """The recipe with what the caller left out filled in for a flavor with so many GPUs and noted in `filled`, whatever
    was filled in before; as it was asked for without `"preset": "auto"`. `family` as the model's config tells it;
    without it, the id is asked."""
    asked = recipe.as_asked()
    if asked.preset is None:
        return asked
    known = release(asked.trl_version).flags
    mode = "full" if asked.lora is None else "lora"
    given = asked.given()
    args: dict[str, Any] = {}
    lora: dict[str, Any] = {}
    used = []
    taken = {**asked.field_flags(), **asked.args}
    for one in presets():
        if not one.fits(family or family_of(asked.model_name_or_path), mode, flavor):
            continue
        offered = {name: value for name, value in one.args_on(gpus).items() if name in known}
        new = _left_out(offered, {**taken, **args}, TOGETHER)
        new = _going_together(asked, args, new)
        new_lora = {} if asked.lora is None else _left_out(one.lora, {**given["lora"], **lora}, LORA_TOGETHER)
        args |= new
        lora |= new_lora
        if new or new_lora:
            used.append(one)
    filled = Filled(
        preset="+".join(one.name for one in used) or None,
        source="; ".join(one.told for one in used) or "no preset is known for what was left out",
        args=args,
        lora=lora,
        asked=given,
    )
    changes: dict[str, Any] = {"args": {**args, **asked.args}, "filled": filled}
    if asked.lora is not None:
        changes["lora"] = Lora.model_validate({**lora, **given["lora"]})
    return asked.model_copy(update=changes)


def _going_together(asked: TrlSft, args: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Those new values that break no rule with the others: what a preset fills in never makes a recipe wrong."""
    while new and (found := broken({**args, **new, **asked.flags()}, release(asked.trl_version))) is not None:
        kept = {name: value for name, value in new.items() if name not in found[0].reads}
        if kept == new:  # broken by what the caller gave
            break
        new = kept
    return new


def _left_out(offered: dict[str, Any], taken: dict[str, Any], together: tuple[set[str], ...]) -> dict[str, Any]:
    """Those values that neither the caller nor a preset before has decided, alone or by a flag that goes with them."""
    closed = set(taken)
    for group in together:
        if group & set(taken):
            closed |= group
    return {name: value for name, value in offered.items() if name not in closed}
