"""What of a training's arguments decides its memory, time and disk: TRL's flags with TRL's own defaults.

The defaults are those of `trl sft` 1.16 and 0.29.1 (SFTConfig, ModelConfig), as read from the installed dataclasses.
Note two of them: weights are loaded as float32, although autocast computes in bfloat16, and gradients are checkpointed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, Literal

from service.domain.estimate.architecture import NotCovered

Dtype = Literal["fp32", "bf16", "stored"]
DTYPES: dict[str, Dtype] = {
    "float32": "fp32",
    "bfloat16": "bf16",
    "float16": "bf16",  # as wide
    "auto": "stored",
}
# transformers' names of optimizers, by what they keep.
OPTIMIZERS = {
    "adamw_torch_fused": "adamw",
    "adamw_torch": "adamw_foreach",
    "adamw_bnb_8bit": "adamw_8bit",
    "adamw_8bit": "adamw_8bit",
    "paged_adamw_8bit": "adamw_8bit",
    "adafactor": "adafactor",
    "sgd": "sgd",
}
SHARDED = ("deepspeed", "fsdp", "fsdp_config", "parallelism_config")
OTHER_MEMORY = {
    "use_liger_kernel": "Liger kernels",
    "activation_offloading": "activation offloading",
    "torch_compile": "torch.compile",
    "auto_find_batch_size": "a batch size that is found by trying",
    "load_in_8bit": "8-bit weights",
    "use_dora": "DoRA",
    "lora_target_parameters": "LoRA on parameters",
    "lora_modules_to_save": "LoRA with modules that are trained in full",
    "trust_remote_code": "code of the model's own",
    "label_smoothing_factor": "label smoothing, which makes all logits,",
}


@dataclass(frozen=True)
class Adapters:
    """LoRA: rank, the layers adapted (names, or `all-linear`), and whether their input has dropout."""

    rank: int = 16
    targets: tuple[str, ...] = ("all-linear",)
    dropout: float = 0.05


@dataclass(frozen=True)
class Training:
    """One training. Batches are per device; `length` is the longest sequence in tokens. `whole_logits`: whether the
    release's trainer makes the logits of all tokens at once."""

    batch: int = 8
    length: int = 1024
    accumulation: int = 1
    checkpointing: bool = True
    dtype: Dtype = "fp32"
    optimizer: str = "adamw"
    adapters: Adapters | None = None
    quantised: bool = False
    packing: Literal["none", "rows", "flat"] = "none"
    attention: Literal["default", "sdpa", "eager"] = "default"
    computes: Literal["bf16", "fp16"] = "bf16"
    epochs: float = 3.0
    max_steps: int | None = None
    saves: Literal["steps", "epoch", "no"] = "steps"
    save_steps: float = 500.0
    save_limit: int | None = None
    saves_optimizer: bool = True
    evaluates: bool = False
    on_cpu: bool = False
    whole_logits: bool = False

    @property
    def is_full(self) -> bool:
        """Whether all weights are trained."""
        return self.adapters is None

    @property
    def rows(self) -> int:
        """Sequences of one forward pass as the model sees them: flat packing makes one of the whole batch."""
        return 1 if self.packing == "flat" else self.batch

    @property
    def row_length(self) -> int:
        """Tokens of each of these."""
        return self.batch * self.length if self.packing == "flat" else self.length

    @property
    def tokens(self) -> int:
        """Tokens of one forward pass."""
        return self.rows * self.row_length

    @property
    def is_padded(self) -> bool:
        """Whether attention gets a mask: a batch of rows of different length does, and so does a flat one."""
        return self.packing == "flat" or (self.packing == "none" and self.batch > 1)


def read_training(args: Mapping[str, Any], adapters: Adapters | None = None, *, whole_logits: bool = False) -> Training:
    """The training that a recipe's `args` (TRL's flags) and `lora` ask for, of a release that makes `whole_logits` or
    works in tiles. Raises NotCovered."""
    flags = _flags(args)
    _refuse(flags)
    quantised = _on(flags, "load_in_4bit")
    if quantised and adapters is None:
        raise NotCovered("4-bit weights without LoRA")
    steps = int(_number(flags, "max_steps", -1))
    limit = flags.get("save_total_limit")
    return Training(
        batch=_count(flags, "per_device_train_batch_size", 8),
        length=_count(flags, "max_length", 1024),
        accumulation=_count(flags, "gradient_accumulation_steps", 1),
        checkpointing=_on(flags, "activation_checkpointing", _on(flags, "gradient_checkpointing", True)),
        dtype=_dtype(flags),
        optimizer=_optimizer(flags),
        adapters=adapters,
        quantised=quantised,
        packing=_packing(flags),
        attention=_attention(flags),
        computes="fp16" if _on(flags, "fp16") else "bf16",
        epochs=_number(flags, "num_train_epochs", 3.0),
        max_steps=steps if steps > 0 else None,
        saves=_saves(flags),
        save_steps=_number(flags, "save_steps", 500.0),
        save_limit=None if limit is None else max(1, int(_number(flags, "save_total_limit", 1))),
        saves_optimizer=not _on(flags, "save_only_model"),
        evaluates=flags.get("eval_strategy", "no") not in ("no", False),
        on_cpu=_on(flags, "use_cpu"),
        whole_logits=whole_logits,
    )


def _flags(args: Mapping[str, Any]) -> dict[str, Any]:
    """The flags, with what `model_init_kwargs` says about the model over them, as TRL's script does."""
    flags = {name: value for name, value in args.items() if value is not None or name == "max_length"}
    inner = flags.get("model_init_kwargs")
    if isinstance(inner, str):
        try:
            inner = json.loads(inner)
        except ValueError:
            inner = None
    if isinstance(inner, Mapping):
        flags.update({key: inner[key] for key in ("dtype", "attn_implementation", "trust_remote_code") if key in inner})
    return flags


def _refuse(flags: Mapping[str, Any]) -> None:
    for name in SHARDED:
        if flags.get(name):
            raise NotCovered(f"a training that is sharded ('{name}')")
    for name, what in OTHER_MEMORY.items():
        if flags.get(name) not in (None, 0, "") and (not isinstance(flags[name], bool | str) or _on(flags, name)):
            raise NotCovered(f"{what} ('{name}')")
    if flags.get("bf16") is not None and not _on(flags, "bf16") and not _on(flags, "fp16") and _dtype(flags) == "fp32":
        raise NotCovered("computing in float32 ('bf16': false)")


def _dtype(flags: Mapping[str, Any]) -> Dtype:
    name = str(flags.get("dtype", flags.get("torch_dtype", "float32"))).removeprefix("torch.")
    if name not in DTYPES:
        raise NotCovered(f"weights of the type '{name}'")
    return DTYPES[name]


def _optimizer(flags: Mapping[str, Any]) -> str:
    name = str(flags.get("optim", "adamw_torch_fused"))
    if name not in OPTIMIZERS:
        raise NotCovered(f"the optimizer '{name}'")
    if name == "sgd" and flags.get("optim_args"):
        raise NotCovered("SGD with momentum")
    return OPTIMIZERS[name]


def _packing(flags: Mapping[str, Any]) -> Literal["none", "rows", "flat"]:
    if _on(flags, "padding_free"):
        raise NotCovered("padding-free batches ('padding_free')")
    if not _on(flags, "packing"):
        return "none"
    # 'bfd' makes one flat row of a batch, 'wrapped' cuts the text into full rows
    return "rows" if flags.get("packing_strategy", "bfd") == "wrapped" else "flat"


def _attention(flags: Mapping[str, Any]) -> Literal["default", "sdpa", "eager"]:
    match flags.get("attn_implementation"):
        case None:
            return "default"
        case "sdpa":
            return "sdpa"
        case "eager":
            return "eager"
        case other:
            raise NotCovered(f"the attention '{other}'")


def _saves(flags: Mapping[str, Any]) -> Literal["steps", "epoch", "no"]:
    match flags.get("save_strategy", "steps"):
        case "no" | False:
            return "no"
        case "epoch":
            return "epoch"
        case _:
            return "steps"


def _on(flags: Mapping[str, Any], name: str, default: bool = False) -> bool:
    value = flags.get(name, default)
    return value.strip().lower() in ("true", "yes", "t", "y", "1") if isinstance(value, str) else bool(value)


def _number(flags: Mapping[str, Any], name: str, default: float) -> float:
    value = flags.get(name, default)
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise NotCovered(f"'{name}' is not a number") from None
    except OverflowError:  # a whole number of some hundred digits
        raise NotCovered(f"'{name}' is beyond all bounds") from None
    if not isfinite(number):
        raise NotCovered(f"'{name}' is not finite")
    return number


def _count(flags: Mapping[str, Any], name: str, default: int) -> int:
    number = _number(flags, name, default)
    if not 1 <= number <= 10**7 or number != int(number):
        raise NotCovered(f"'{name}' is not a whole number from 1 to ten million")
    return int(number)


def targets_of(value: str | Sequence[str]) -> tuple[str, ...]:
    """A recipe's `target_modules` as names."""
    return (value,) if isinstance(value, str) else tuple(value)
