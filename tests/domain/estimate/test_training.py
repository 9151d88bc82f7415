"""TRL's flags as a training, with TRL's own defaults."""

from __future__ import annotations

from typing import Any

import pytest

from service.domain.estimate.architecture import NotCovered
from service.domain.estimate.training import Adapters, Training, read_training


def test_nothing_said_is_what_trl_does() -> None:
    """SFTConfig and ModelConfig of TRL 1.16."""
    assert read_training({}) == Training(
        batch=8,
        length=1024,
        accumulation=1,
        checkpointing=True,
        dtype="fp32",
        optimizer="adamw",
        epochs=3.0,
        max_steps=None,
        saves="steps",
        save_steps=500.0,
        save_limit=None,
        saves_optimizer=True,
    )


@pytest.mark.parametrize(
    ("args", "field", "value"),
    [
        ({"per_device_train_batch_size": "4"}, "batch", 4),
        ({"gradient_checkpointing": "false"}, "checkpointing", False),
        ({"activation_checkpointing": False, "gradient_checkpointing": True}, "checkpointing", False),
        ({"dtype": "bfloat16"}, "dtype", "bf16"),
        ({"dtype": "auto"}, "dtype", "stored"),
        ({"model_init_kwargs": '{"dtype": "bfloat16"}'}, "dtype", "bf16"),
        ({"model_init_kwargs": {"dtype": "bfloat16"}}, "dtype", "bf16"),
        ({"optim": "adamw_bnb_8bit"}, "optimizer", "adamw_8bit"),
        ({"max_steps": 100}, "max_steps", 100),
        ({"max_steps": -1}, "max_steps", None),
        ({"save_strategy": "no"}, "saves", "no"),
        ({"packing": True}, "packing", "flat"),
        ({"packing": True, "packing_strategy": "wrapped"}, "packing", "rows"),
        ({"fp16": True, "bf16": False}, "computes", "fp16"),
        ({"eval_strategy": "steps"}, "evaluates", True),
    ],
)
def test_flags(args: dict[str, Any], field: str, value: object) -> None:
    assert getattr(read_training(args), field) == value


@pytest.mark.parametrize(
    "args",
    [
        {"use_liger_kernel": True},
        {"deepspeed": "zero3.json"},
        {"fsdp": "full_shard"},
        {"attn_implementation": "flash_attention_2"},
        {"optim": "galore_adamw"},
        {"load_in_8bit": True},
        {"load_in_4bit": True},
        {"bf16": False},
        {"max_length": None},
        {"per_device_train_batch_size": 0},
        {"padding_free": True},
        {"dtype": "float8"},
        {"trust_remote_code": "true"},
    ],
)
def test_what_the_formula_does_not_reach_is_said(args: dict[str, Any]) -> None:
    with pytest.raises(NotCovered):
        read_training(args)


def test_flags_that_are_off_change_nothing() -> None:
    assert read_training({"use_liger_kernel": False, "trust_remote_code": "false", "bf16": True}) == Training()
    assert read_training({"load_in_4bit": True}, Adapters()).quantised


def test_a_flat_batch_is_one_long_row() -> None:
    flat = read_training({"packing": True, "per_device_train_batch_size": 2, "max_length": 512})
    assert (flat.rows, flat.row_length, flat.is_padded) == (1, 1024, True)
    rows = read_training({"packing": True, "packing_strategy": "wrapped"})
    assert (rows.rows, rows.row_length, rows.is_padded) == (8, 1024, False)
