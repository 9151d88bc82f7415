"""A real training of two steps on the CPU, as TRL's sft.py makes it, from a folder with a tiny model and a few rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from datasets import load_dataset
from trl import ModelConfig, SFTConfig, SFTTrainer, get_peft_config

IN_MODEL = frozenset(ModelConfig.__dataclass_fields__)
# What makes it short; flags go before it.
SHORT = {"max_steps": 2, "per_device_train_batch_size": 2, "use_cpu": True, "report_to": "none"}


def config_of(flags: dict[str, Any], folder: Path) -> SFTConfig:
    """The flags of training as the real class takes them."""
    mine = {name: value for name, value in flags.items() if name not in IN_MODEL and name != "dataset_streaming"}
    return SFTConfig(output_dir=str(folder / "out"), **{**mine, "report_to": "none"})


def train(flags: dict[str, Any], folder: Path) -> None:
    """Raise what the real script would raise."""
    short = SHORT if not flags.get("dataset_streaming") else {**SHORT, "max_steps": -1}
    config = config_of({**short, **flags}, folder)
    asked = ModelConfig(**{name: value for name, value in flags.items() if name in IN_MODEL})
    inner = {"attn_implementation": asked.attn_implementation, "dtype": asked.dtype}
    config.model_init_kwargs = {**inner, **(config.model_init_kwargs or {})}
    rows = load_dataset(str(folder / "rows"), split="train", streaming=bool(flags.get("dataset_streaming")))
    trainer = SFTTrainer(
        model=str(folder / "model"),
        args=config,
        train_dataset=rows,
        eval_dataset=rows if config.eval_strategy != "no" else None,
        peft_config=get_peft_config(asked),
    )
    trainer.train()
