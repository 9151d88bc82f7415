"""What becomes of the rows: how long they are, how they are packed, which loss they give, how long they are read."""

from __future__ import annotations

from service.domain.trl.rules.rule import Flags, Rule, read_object

SFT_TRAINER = "trl/trainer/sft_trainer.py, SFTTrainer.__init__"
# Objects that may come as a text are read as JSON; of these three, a text may also name a file (`places.py`).
OBJECTS = (
    "lr_scheduler_kwargs",
    "gradient_checkpointing_kwargs",
    "activation_checkpointing_kwargs",
    "model_init_kwargs",
    "dataset_kwargs",
)
OBJECTS_OR_FILES = ("deepspeed", "fsdp_config", "accelerator_config")


def _is_no_object(name: str, flags: Flags) -> bool:
    value = flags[name]
    if not isinstance(value, str) or (name in OBJECTS_OR_FILES and not value.startswith("{")):
        return False
    return not value.startswith("{") or read_object(value) is None


def _object_rule(name: str) -> Rule:
    return Rule(
        f"{name}_is_json",
        (name,),
        lambda flags: _is_no_object(name, flags),
        f"'{name}' is a text that is no JSON object: {{{name}}}",
        "Send an object, such as {}.",
        "transformers/training_args.py, TrainingArguments.__post_init__: _VALID_DICT_FIELDS",
    )


def _packs_evaluation(flags: Flags) -> bool:
    return flags.on("packing") if flags["eval_packing"] is None else flags.on("eval_packing")


def _padding(flags: Flags) -> bool:
    """TRL 1.16 reads the text of `pad_to_multiple_of` itself."""
    value = flags["pad_to_multiple_of"]
    if not isinstance(value, str) or value.lower() in ("auto", "none", "null"):
        return False
    return not (value.isascii() and value.isdigit() and int(value) > 0)


RULES = (
    *map(_object_rule, (*OBJECTS, *OBJECTS_OR_FILES)),
    Rule(
        "epochs_without_steps",
        ("num_train_epochs", "max_steps"),
        lambda flags: flags["num_train_epochs"] <= 0 and flags["max_steps"] <= 0,
        "'num_train_epochs' {num_train_epochs} trains nothing where 'max_steps' is not set",
        "Set num_train_epochs above 0, such as 1 or 0.5, or max_steps.",
        "transformers/trainer.py, Trainer.set_initial_training_values: no step is made, and the job ends well",
    ),
    Rule(
        "streaming_without_steps",
        ("max_steps", "dataset_streaming"),
        lambda flags: flags.on("dataset_streaming") and flags["max_steps"] <= 0,
        "a streamed dataset has no length, so 'dataset_streaming' needs 'max_steps'",
        "Set max_steps, such as 1000, or leave dataset_streaming out.",
        "transformers/trainer.py, Trainer._validate_args: train_dataset does not implement __len__",
    ),
    Rule(
        "packing_without_length",
        ("max_length", "packing", "dataset_kwargs"),
        lambda flags: flags.on("packing") and flags["max_length"] is None and not flags.skips_preparation,
        "'packing' fills sequences of 'max_length', which is null",
        "Set max_length, such as 1024, or leave packing out.",
        "trl/trainer/sft_trainer.py, SFTTrainer._prepare_dataset",
    ),
    Rule(
        "eval_packing_without_length",
        ("max_length", "eval_packing", "packing", "eval_strategy", "dataset_kwargs"),
        lambda flags: (
            flags.evaluates and _packs_evaluation(flags) and flags["max_length"] is None and not flags.skips_preparation
        ),
        "'eval_packing' fills sequences of 'max_length', which is null",
        "Set max_length, such as 1024, or leave eval_packing out.",
        "trl/trainer/sft_trainer.py, SFTTrainer._prepare_dataset",
    ),
    Rule(
        "padding_free_with_length",
        ("padding_free", "packing", "max_length"),
        lambda flags: flags.on("padding_free") and not flags.on("packing") and flags["max_length"] is not None,
        "'padding_free' without packing does not keep to 'max_length' {max_length}",
        "Leave it out, set recipe.packing true, or max_length null.",
        SFT_TRAINER,
        releases=("1.16.0",),
    ),
    Rule(
        "pad_to_a_number",
        ("pad_to_multiple_of",),
        _padding,
        "'pad_to_multiple_of' takes 'auto' or a whole number from 1, not '{pad_to_multiple_of}'",
        "Leave it out, or send a number, such as 8.",
        "trl/trainer/sft_config.py, SFTConfig.__post_init__",
    ),
    Rule(
        "unknown_loss",
        ("loss_type", "use_liger_kernel"),
        lambda flags: flags["loss_type"] not in ("nll", "dft") and not flags.on("use_liger_kernel"),
        "'loss_type' is 'nll' or 'dft', not '{loss_type}'",
        "Leave it out for 'nll'.",
        SFT_TRAINER,
        releases=("0.29.1",),
    ),
    Rule(
        "fused_loss_of_liger",
        ("liger_kernel_config", "use_liger_kernel"),
        lambda flags: (
            flags.on("use_liger_kernel") and bool(flags.table("liger_kernel_config").get("fused_linear_cross_entropy"))
        ),
        "'liger_kernel_config' may not set fused_linear_cross_entropy: TRL computes the loss itself",
        "Leave fused_linear_cross_entropy out of it.",
        SFT_TRAINER,
        releases=("1.16.0",),
    ),
)
