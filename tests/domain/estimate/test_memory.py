"""The peak's rules beyond the counted points: what grows never shrinks it, optimizers, quantised weights."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.estimate.architecture import NotCovered, read_architecture
from service.domain.estimate.memory import memory_of
from service.domain.estimate.training import Adapters, Training
from tests.domain.estimate.hardware import FULL, LORA, SMOLLM3
from tests.domain.estimate.test_families import MODELS

trainings = st.builds(
    Training,
    batch=st.integers(1, 16),
    length=st.sampled_from([1, 128, 512, 1024, 3000, 8192]),
    accumulation=st.integers(1, 4),
    checkpointing=st.booleans(),
    dtype=st.sampled_from(["fp32", "bf16"]),
    optimizer=st.sampled_from(["adamw", "adamw_foreach", "adamw_8bit", "adafactor", "sgd"]),
    adapters=st.none() | st.builds(Adapters, rank=st.integers(1, 128), dropout=st.sampled_from([0.0, 0.05])),
    packing=st.sampled_from(["none", "rows", "flat"]),
)
models = st.sampled_from(sorted(MODELS))


def peak(config: dict[str, Any], training: Training) -> float:
    return memory_of(read_architecture(config), training).peak_gib


@given(models, trainings, st.integers(1, 8))
def test_more_never_needs_less(name: str, training: Training, more: int) -> None:
    config = MODELS[name]["config"]
    now = peak(config, training)
    assert peak(config, replace(training, batch=training.batch + more)) >= now
    assert peak(config, replace(training, length=training.length + 64 * more)) >= now
    assert peak(config, replace(training, accumulation=training.accumulation + more)) >= now
    if training.optimizer != "adafactor":  # which updates a narrow weight by way of wide copies of it
        assert peak(config, replace(training, dtype="fp32")) >= now or training.dtype == "fp32"
    layers = "n_layer" if "n_layer" in config else "num_hidden_layers"
    assert peak({**config, layers: config[layers] + more}, training) >= now
    assert peak({**config, "vocab_size": config["vocab_size"] + 1024 * more}, training) >= now
    if training.adapters is not None:
        bigger = replace(training.adapters, rank=training.adapters.rank + more)
        assert peak(config, replace(training, adapters=bigger)) >= now


def test_the_course_command_in_numbers() -> None:
    """Sixteen bytes for each weight with TRL's defaults, eight in bfloat16, four and the adapters with LoRA."""
    full = memory_of(SMOLLM3, FULL)
    assert full.peak_gib == pytest.approx(46.8, abs=0.3)
    assert full.terms_bytes["weights"] == 4 * SMOLLM3.parameters
    assert full.terms_bytes["optimizer"] == 8 * SMOLLM3.parameters
    assert memory_of(SMOLLM3, replace(FULL, dtype="bf16")).peak_gib == pytest.approx(23.6, abs=0.7)
    assert memory_of(SMOLLM3, LORA).peak_gib == pytest.approx(14, abs=0.3)
    assert memory_of(SMOLLM3, replace(LORA, dtype="bf16")).peak_gib == pytest.approx(7.6, abs=0.3)
    assert memory_of(SMOLLM3, replace(LORA, dtype="bf16", checkpointing=False)).peak_gib == pytest.approx(29.8, abs=0.5)


def test_optimizers_in_the_order_of_their_states() -> None:
    one_by_one = [
        memory_of(SMOLLM3, replace(FULL, optimizer=optimizer)).peak_gib
        for optimizer in ("sgd", "adamw_8bit", "adamw", "adamw_foreach")
    ]
    assert one_by_one == sorted(one_by_one)
    # Adafactor's states are next to nothing beside the weights
    assert memory_of(SMOLLM3, replace(FULL, optimizer="adafactor")).terms_bytes["optimizer"] < 0.02 * 2**30


def test_quantised_weights_are_a_quarter_of_narrow_ones() -> None:
    narrow = replace(LORA, dtype="bf16")
    quantised = memory_of(SMOLLM3, replace(narrow, quantised=True))
    embedding = 2 * SMOLLM3.embedding
    in_linears = memory_of(SMOLLM3, narrow).terms_bytes["weights"] - embedding
    assert quantised.terms_bytes["weights"] - embedding == pytest.approx(in_linears * 0.5625 / 2, rel=0.01)


def test_weights_as_stored_need_a_type_that_is_known() -> None:
    stored = replace(LORA, dtype="stored")
    assert memory_of(SMOLLM3, stored).peak_gib == memory_of(SMOLLM3, replace(LORA, dtype="bf16")).peak_gib
    with pytest.raises(NotCovered, match="auto"):
        memory_of(replace(SMOLLM3, stored_weight_bytes=None), stored)


def test_a_short_window_takes_a_mask() -> None:
    gemma = MODELS["Gemma-3-270m"]["config"]
    single = Training(batch=1, length=2048, adapters=Adapters(), checkpointing=False)
    assert peak(gemma, single) > peak({**gemma, "sliding_window": 4096}, single)
