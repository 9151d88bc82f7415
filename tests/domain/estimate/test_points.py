"""The memory formula against 161 counted peaks of real training steps.

Each point is the peak of the real transformers 5.23, TRL 1.16 and peft 0.21 code of one step (forward, backward, fused
AdamW), every live tensor counted under PyTorch's FakeTensorMode: allocator bytes, no CUDA context, no fragmentation.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from service.domain.estimate.architecture import Architecture, read_architecture
from service.domain.estimate.memory import Memory, memory_of
from service.domain.estimate.training import Adapters, Training

POINTS: list[dict[str, Any]] = json.loads((Path(__file__).parent / "points.json").read_text())
TYPES = {"SmolLM2": "llama", "SmolLM3": "smollm3", "Qwen3": "qwen3", "Gemma-2": "gemma2", "Gemma-3": "gemma3_text"}


def architecture_of(point: dict[str, Any]) -> Architecture:
    shape = point["shape"]
    return read_architecture(
        {
            "model_type": next(kind for name, kind in TYPES.items() if point["model"].startswith(name)),
            "hidden_size": shape["hidden"],
            "num_hidden_layers": shape["layers"],
            "num_attention_heads": shape["heads"],
            "num_key_value_heads": shape["kv_heads"],
            "head_dim": shape["head_dim"],
            "intermediate_size": shape["intermediate"],
            "vocab_size": shape["vocab"],
            "tie_word_embeddings": shape["tied"],
        }
    )


def memory_at(point: dict[str, Any]) -> Memory:
    training = Training(
        batch=point["batch"],
        length=point["seq"],
        checkpointing=point["checkpointing"],
        dtype=point["dtype"],
        adapters=Adapters(rank=point["lora_r"]) if point["mode"] == "lora" else None,
    )
    assert training.is_padded == point["padded"]
    return memory_of(architecture_of(point), training)


def test_the_formula_is_within_its_tolerances_on_the_counted_points() -> None:
    assert len(POINTS) == 161
    ratios = sorted(memory_at(point).peak_gib / point["peak_gib"] for point in POINTS)
    median, p10, p90 = (ratios[round(share * (len(ratios) - 1))] for share in (0.5, 0.1, 0.9))
    assert abs(median - 1) < 0.006
    assert p10 > 0.99
    assert p90 < 1.01
    assert ratios[0] > 0.92
    assert ratios[-1] < 1.08


def test_parameters_and_adapters_are_those_of_the_counted_models() -> None:
    for point in POINTS:
        found = architecture_of(point)
        assert found.parameters == point["params"], point["model"]
        if point["mode"] == "lora":
            assert memory_at(point).trained_bytes == 4 * point["adapter_params"], point["model"]


def test_the_terms_are_the_sum_that_is_shown() -> None:
    for point in POINTS:
        memory = memory_at(point)
        assert sum(memory.terms_bytes.values()) / 2**30 == memory.peak_gib
        assert all(size >= 0 for size in memory.terms_bytes.values())
