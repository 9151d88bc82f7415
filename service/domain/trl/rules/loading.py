"""The processes that load rows."""

from __future__ import annotations

from service.domain.trl.rules.rule import Flags, Rule

ACCELERATOR_CONFIG = "transformers/trainer_pt_utils.py, AcceleratorConfig"
CONFIG_KEYS = frozenset(
    (
        "split_batches",
        "dispatch_batches",
        "even_batches",
        "use_seedable_sampler",
        "non_blocking",
        "gradient_accumulation_kwargs",
        "use_configured_state",
    )
)


def _counts_twice(flags: Flags) -> bool:
    inner = flags.table("accelerator_config").get("gradient_accumulation_kwargs")
    return isinstance(inner, dict) and "num_steps" in inner and flags["gradient_accumulation_steps"] > 1


RULES = (
    Rule(
        "prefetch_without_workers",
        ("dataloader_prefetch_factor", "dataloader_num_workers"),
        lambda flags: flags["dataloader_prefetch_factor"] is not None and flags["dataloader_num_workers"] == 0,
        "'dataloader_prefetch_factor' is for loading in other processes, and 'dataloader_num_workers' is 0",
        "Leave it out, or set dataloader_num_workers to at least 1.",
        "transformers/training_args.py, TrainingArguments._validate_args",
    ),
    Rule(
        "persistence_without_workers",
        ("dataloader_persistent_workers", "dataloader_num_workers"),
        lambda flags: flags.on("dataloader_persistent_workers") and flags["dataloader_num_workers"] == 0,
        "'dataloader_persistent_workers' needs workers, and 'dataloader_num_workers' is 0",
        "Leave it out, or set dataloader_num_workers to at least 1.",
        "torch/utils/data/dataloader.py, DataLoader.__init__",
    ),
    Rule(
        "start_method_without_workers",
        ("dataloader_multiprocessing_context", "dataloader_num_workers"),
        lambda flags: flags["dataloader_multiprocessing_context"] is not None and flags["dataloader_num_workers"] == 0,
        "'dataloader_multiprocessing_context' starts workers, and 'dataloader_num_workers' is 0",
        "Leave it out, or set dataloader_num_workers to at least 1.",
        "torch/utils/data/dataloader.py, DataLoader.multiprocessing_context",
    ),
    Rule(
        "accelerator_config_keys",
        ("accelerator_config",),
        lambda flags: bool(flags.table("accelerator_config").keys() - CONFIG_KEYS),
        "'accelerator_config' has a key that it does not know: {accelerator_config}",
        f"It knows {', '.join(sorted(CONFIG_KEYS))}.",
        ACCELERATOR_CONFIG,
    ),
    Rule(
        "configured_state",
        ("accelerator_config",),
        lambda flags: bool(flags.table("accelerator_config").get("use_configured_state")),
        "'accelerator_config' may not set use_configured_state: TRL's script configures none before",
        "Leave use_configured_state out of it.",
        "transformers/training_args.py, TrainingArguments._setup_devices",
    ),
    Rule(
        "accumulation_said_twice",
        ("accelerator_config", "gradient_accumulation_steps"),
        _counts_twice,
        "'accelerator_config' sets num_steps of gradient_accumulation_kwargs, and 'gradient_accumulation_steps' is "
        "{gradient_accumulation_steps}",
        "Leave num_steps out of it.",
        "transformers/trainer.py, Trainer.create_accelerator_and_postprocess",
    ),
)
