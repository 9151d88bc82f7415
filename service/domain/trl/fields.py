"""The parts of a `trl_sft` recipe that stand for several flags of TRL each."""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from service.domain.argument import Argument
from service.domain.body import Body
from service.domain.errors import Invalid
from service.domain.trl.names import field_meant

# A module's name, or the end of one; `all-linear` has a dash and is none.
PLAIN = re.compile(r"[A-Za-z0-9_.]+")


class Lora(Body):
    """Low-rank adapters, with the meanings of TRL's `--lora_…` flags."""

    r: int = Field(16, ge=1, le=1024)
    alpha: int = Field(32, ge=1, le=4096)
    dropout: float = Field(0.05, ge=0, lt=1)
    target_modules: Argument | list[Argument] = "all-linear"
    target_parameters: list[Argument] | None = Field(None, description="Parameters by name, as in experts' weights")
    modules_to_save: list[Argument] | None = Field(None, description="Layers that are trained whole, such as lm_head")
    rslora: bool = Field(False, description="Scale by alpha/√r")
    dora: bool = Field(False, description="Magnitude and direction apart; slower")

    @classmethod
    def suggestion(cls, name: str) -> str:
        """Also for the names of TRL's flags, and of PEFT's."""
        plain = name.removeprefix("use_").removeprefix("lora_")
        return field_meant(plain, cls.model_fields) or super().suggestion(plain)

    @field_validator("target_modules", mode="before")
    @classmethod
    def _names(cls, value: object) -> object:
        # told here once: as a union of types it would be told once for each
        names = value if isinstance(value, list) else [value]
        if not names or not all(isinstance(one, str) and one and "\0" not in one for one in names):
            raise Invalid(
                "'target_modules' takes a name, a regular expression or a list of names",
                field="recipe.lora.target_modules",
                remedy='Send \'all-linear\', or a list such as ["q_proj", "v_proj"].',
            )
        return value

    def as_flags(self) -> dict[str, Any]:
        """The same as flags of TRL."""
        flags: dict[str, Any] = {
            "use_peft": True,
            "lora_r": self.r,
            "lora_alpha": self.alpha,
            "lora_dropout": self.dropout,
            "lora_target_modules": _targets(self.target_modules),
        }
        if self.target_parameters is not None:
            flags["lora_target_parameters"] = self.target_parameters
        if self.modules_to_save is not None:
            flags["lora_modules_to_save"] = self.modules_to_save
        return flags | ({"use_rslora": True} if self.rslora else {}) | ({"use_dora": True} if self.dora else {})


def _targets(asked: str | list[str]) -> list[str]:
    """The modules as TRL's list. TRL makes one text of a list of one, and PEFT takes a text for a regular expression of
    a module's whole name (TRL 1.16 and 0.29.1, ModelConfig.__post_init__; peft 0.21, check_target_module_exists). A
    plain name is said twice, so that it stays a list: of names, each of which may be the end of a module's."""
    targets = [asked] if isinstance(asked, str) else list(asked)
    is_one_name = len(targets) == 1 and PLAIN.fullmatch(targets[0]) is not None
    return targets * 2 if is_one_name else targets


class Quantization(Body):
    """How the frozen model is kept, by bitsandbytes: 4 bits (QLoRA) or 8."""

    bits: Literal[4, 8] = 4
    type: Literal["nf4", "fp4"] = "nf4"
    nested: bool = Field(False, description="Quantize the quantization's constants as well")
    storage: Argument | None = Field(None, description="The dtype that packed 4-bit weights are stored in")

    @model_validator(mode="after")
    def _four_bits_only(self) -> Quantization:
        if self.bits == 8 and (self.type, self.nested, self.storage) != ("nf4", False, None):
            raise Invalid(
                "'type', 'nested' and 'storage' go with 4 bits",
                field="recipe.quantization.bits",
                remedy="Set bits 4, or leave the others out.",
            )
        return self

    def as_flags(self) -> dict[str, Any]:
        """The same as flags of TRL."""
        if self.bits == 8:
            return {"load_in_8bit": True}
        flags: dict[str, Any] = {"load_in_4bit": True, "bnb_4bit_quant_type": self.type}
        if self.storage is not None:
            flags["bnb_4bit_quant_storage"] = self.storage
        return flags | ({"use_bnb_nested_quant": True} if self.nested else {})


class Evaluation(Body):
    """When the loss on rows that are not trained on is measured."""

    strategy: Literal["steps", "epoch"] = "steps"
    steps: int | None = Field(None, ge=1, description="Every so many steps; TRL's default is logging_steps")
    split: Argument | None = Field(None, description="TRL's default is 'test'")
    batch_size: int | None = Field(None, ge=1, description="Rows per GPU; TRL's default is 8")

    @model_validator(mode="after")
    def _steps_go_with_steps(self) -> Evaluation:
        if self.strategy == "epoch" and self.steps is not None:
            raise Invalid(
                "'steps' goes with the strategy 'steps'",
                field="recipe.eval.steps",
                remedy="Leave it out, or set strategy 'steps'.",
            )
        return self

    def as_flags(self) -> dict[str, Any]:
        """The same as flags of TRL."""
        flags = {
            "eval_strategy": self.strategy,
            "eval_steps": self.steps,
            "dataset_test_split": self.split,
            "per_device_eval_batch_size": self.batch_size,
        }
        return {name: value for name, value in flags.items() if value is not None}


# Where a caller gives what these flags stand for.
FIELD_OF = {
    "use_peft": "recipe.lora",
    "lora_r": "recipe.lora.r",
    "lora_alpha": "recipe.lora.alpha",
    "lora_dropout": "recipe.lora.dropout",
    "lora_target_modules": "recipe.lora.target_modules",
    "lora_target_parameters": "recipe.lora.target_parameters",
    "lora_modules_to_save": "recipe.lora.modules_to_save",
    "use_rslora": "recipe.lora.rslora",
    "use_dora": "recipe.lora.dora",
    "load_in_4bit": "recipe.quantization",
    "load_in_8bit": "recipe.quantization",
    "bnb_4bit_quant_type": "recipe.quantization.type",
    "use_bnb_nested_quant": "recipe.quantization.nested",
    "bnb_4bit_quant_storage": "recipe.quantization.storage",
    "eval_strategy": "recipe.eval.strategy",
    "eval_steps": "recipe.eval.steps",
    "dataset_test_split": "recipe.eval.split",
    "per_device_eval_batch_size": "recipe.eval.batch_size",
}
