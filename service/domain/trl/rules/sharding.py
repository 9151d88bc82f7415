"""One training over several GPUs: deepspeed and FSDP, and how gradients are checkpointed beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from service.domain.trl.rules.rule import Flags, Rule

TRAINING_ARGUMENTS = "transformers/training_args.py, TrainingArguments._process_fsdp_args"
TRAINER = "transformers/trainer.py, Trainer.create_accelerator_and_postprocess"
SFT_TRAINER = "trl/trainer/sft_trainer.py, SFTTrainer.__init__"
# accelerate/utils/constants.py: FSDP_SHARDING_STRATEGY (FSDP 2 knows the first two of them), FSDP_AUTO_WRAP_POLICY
STRATEGIES = ("full_shard", "shard_grad_op", "no_shard", "hybrid_shard", "hybrid_shard_zero2")
OPTIONS = ("offload", "auto_wrap")
WRAP_POLICIES = ("TRANSFORMER_BASED_WRAP", "SIZE_BASED_WRAP", "NO_WRAP")
# torch/utils/checkpoint.py, checkpoint; two of transformers' own (trainer.py, Trainer.train). `selective` is TRL's.
OF_TRANSFORMERS = {"every_n_layers", "offload"}
CHECKPOINT_KEYS = OF_TRANSFORMERS | {"use_reentrant", "preserve_rng_state", "determinism_check", "debug", "early_stop"}


def _config(flags: Flags) -> Mapping[str, Any]:
    """fsdp_config, its keys with and without the prefix."""
    return {name.removeprefix("fsdp_"): value for name, value in flags.table("fsdp_config").items()}


def _unknown_fsdp(flags: Flags) -> bool:
    if not flags["fsdp"]:
        return False
    known = STRATEGIES if str(_config(flags).get("version", 2)) == "1" else STRATEGIES[:2]
    return any(item not in (*known, *OPTIONS) for item in str(flags["fsdp"]).split())


def _zero_stage(flags: Flags) -> object:
    zero = flags.table("deepspeed").get("zero_optimization")
    return zero.get("stage") if isinstance(zero, Mapping) else None


def _checkpoints_twice(flags: Flags) -> bool:
    again = _config(flags).get("activation_checkpointing")
    return bool(flags["fsdp"]) and flags.checkpointing and str(again).lower() in ("true", "1", "yes", "y", "t", "on")


def _kwargs(flags: Flags) -> Mapping[str, Any]:
    return flags.table(flags.checkpointing_kwargs)


def _unknown_checkpointing(flags: Flags) -> bool:
    if _kwargs(flags).get("use_reentrant") is False:
        return False  # then they are handed on to the layer, which takes any
    known = CHECKPOINT_KEYS | ({"selective"} if flags.release.version != "0.29.1" else set())
    return flags.checkpointing and bool(_kwargs(flags).keys() - known)


def _selects_without(flags: Flags) -> bool:
    return bool(_kwargs(flags).get("selective")) and not flags.checkpointing


def _selects_reentrant(flags: Flags) -> bool:
    return bool(_kwargs(flags).get("selective")) and bool(_kwargs(flags).get("use_reentrant"))


CHECKPOINTING = (
    "gradient_checkpointing_kwargs",
    "activation_checkpointing_kwargs",
    "gradient_checkpointing",
    "activation_checkpointing",
)
RULES = (
    Rule(
        "one_sharding",
        ("fsdp", "deepspeed"),
        lambda flags: bool(flags["fsdp"]) and bool(flags["deepspeed"]),
        "'fsdp' and 'deepspeed' both shard the training",
        "Keep one.",
        "transformers/trainer.py, Trainer.__init__",
    ),
    Rule(
        "unknown_fsdp",
        ("fsdp", "fsdp_config"),
        _unknown_fsdp,
        "'fsdp' does not know '{fsdp}'",
        f"Take {STRATEGIES[0]} or {STRATEGIES[1]}, and {' or '.join(OPTIONS)}; others need fsdp_config version 1.",
        TRAINING_ARGUMENTS,
    ),
    Rule(
        "unknown_wrap_policy",
        ("fsdp_config", "fsdp"),
        lambda flags: (
            bool(flags["fsdp"]) and _config(flags).get("auto_wrap_policy", WRAP_POLICIES[0]) not in WRAP_POLICIES
        ),
        "'fsdp_config' has an auto_wrap_policy that does not exist: {fsdp_config}",
        f"Take one of {', '.join(WRAP_POLICIES)}.",
        TRAINING_ARGUMENTS,
    ),
    Rule(
        "fsdp_of_tpus",
        ("fsdp_config", "fsdp"),
        lambda flags: bool(flags["fsdp"]) and bool(_config(flags).get("xla") or _config(flags).get("xla_fsdp_v2")),
        "'fsdp_config' asks for torch_xla, which is for TPUs",
        "Leave xla and xla_fsdp_v2 out of it.",
        "transformers/trainer.py, Trainer.__init__: torch_xla is not there",
    ),
    Rule(
        "fsdp_checkpoints_twice",
        ("gradient_checkpointing", "activation_checkpointing", "fsdp_config", "fsdp"),
        _checkpoints_twice,
        "'fsdp_config' has activation_checkpointing, and 'gradient_checkpointing' is on as well",
        "Set gradient_checkpointing false, or leave activation_checkpointing out of fsdp_config.",
        TRAINER,
    ),
    Rule(
        "best_at_end_sharded",
        ("save_only_model", "load_best_model_at_end", "deepspeed", "fsdp"),
        lambda flags: (
            flags.on("save_only_model")
            and flags.on("load_best_model_at_end")
            and bool(flags["fsdp"] or flags["deepspeed"])
        ),
        "'save_only_model' and 'load_best_model_at_end' do not go together where a training is sharded",
        "Leave save_only_model out.",
        TRAINER,
    ),
    Rule(
        "batch_found_with_zero3",
        ("auto_find_batch_size", "deepspeed"),
        lambda flags: flags.on("auto_find_batch_size") and _zero_stage(flags) == 3,
        "'auto_find_batch_size' does not work with stage 3 of deepspeed",
        "Leave it out, and set per_device_train_batch_size.",
        TRAINER,
    ),
    Rule(
        "unknown_checkpointing",
        CHECKPOINTING,
        _unknown_checkpointing,
        "the arguments of gradient checkpointing hold a key that PyTorch does not know",
        f"It knows {', '.join(sorted(CHECKPOINT_KEYS))}.",
        "torch/utils/checkpoint.py, checkpoint: Unexpected keyword arguments",
    ),
    Rule(
        "selective_without_checkpointing",
        CHECKPOINTING,
        _selects_without,
        "selective checkpointing needs gradient checkpointing, which is off",
        "Leave 'selective' out, or set gradient_checkpointing true.",
        SFT_TRAINER,
        releases=("1.16.0",),
    ),
    Rule(
        "selective_and_reentrant",
        CHECKPOINTING,
        _selects_reentrant,
        "selective checkpointing cannot be reentrant",
        "Set use_reentrant false, or leave 'selective' out.",
        SFT_TRAINER,
        releases=("1.16.0",),
    ),
)
