"""No estimate of a real model is nonsense: what is told is positive, in order, and follows the machine."""

from __future__ import annotations

from typing import Any

import pytest

from service.domain.estimate.duration import DatasetSize
from service.domain.estimate.estimate import FlavorEstimate
from service.domain.estimate.verdict import Verdict
from service.domain.facts import ModelFact, Outcome
from service.domain.foresight import Foresight, foresee
from service.domain.trl_sft import TrlSft
from tests.domain.estimate.hardware import FLAVORS
from tests.domain.estimate.test_families import MODELS

RECIPES: dict[str, dict[str, Any]] = {
    "full": {"args": {"max_steps": 500}},
    "lora": {"args": {"max_steps": 500, "dtype": "auto", "per_device_train_batch_size": 2}, "lora": {"r": 8}},
    "qlora": {"args": {"max_steps": 500, "dtype": "bfloat16"}, "lora": {}, "quantization": {"bits": 4}},
    "older": {"args": {"max_steps": 500, "packing": True}, "lora": {}, "trl_version": "0.29.1"},
}


def ahead(name: str, fields: dict[str, Any]) -> Foresight:
    """As POST /estimates makes it, the Hub's count of weights included."""
    recipe = TrlSft.model_validate(
        {"kind": "trl_sft", "model_name_or_path": "acme/model", "dataset_name": "acme/rows", **fields}
    )
    config, count = {**MODELS[name]["config"], "torch_dtype": "bfloat16"}, MODELS[name]["parameters"]
    model = ModelFact(
        outcome=Outcome.FOUND, sha="0" * 40, config=config, parameters={"BF16": count}, parameter_count=count
    )
    return foresee(recipe, model, None, None, FLAVORS)


def told(found: Foresight, name: str) -> FlavorEstimate:
    one = found.on(name)
    assert one is not None
    return one


@pytest.mark.parametrize("fields", RECIPES.values(), ids=RECIPES)
@pytest.mark.parametrize("name", MODELS)
def test_a_real_models_estimate_makes_sense(name: str, fields: dict[str, Any]) -> None:
    found = ahead(name, fields)
    assert found.dataset == DatasetSize()
    memory, weights = found.estimate.memory, MODELS[name]["parameters"]
    assert memory is not None, found.estimate.warnings
    assert all(size >= 0 for size in memory.terms_bytes.values())
    assert memory.peak_gib > (0.5 if "quantization" in fields else 2) * weights / 2**30
    for one in found.estimate.flavors:
        assert one.verdict is not Verdict.NOT_COVERED
        assert one.message
        if one.minutes is None:
            continue
        assert 3 < one.minutes.p50 < one.minutes.p90 < 14 * 24 * 60
        assert one.cost is not None
        assert 0 < one.cost.p50 <= one.cost.p90 <= one.cost.ceiling
        assert one.timeout_seconds is not None
        assert one.timeout_seconds > 60 * one.minutes.p90
    fits = [one for one in found.estimate.flavors if one.is_usable]
    biggest = max((one.flavor.card.usable_gib for one in fits if one.flavor.card), default=0)
    assert not fits or biggest == 139.8, "what fits a smaller card fits the largest"
    small, large = told(found, "l4x1"), told(found, "h200")
    assert small.minutes is None or large.minutes is None or large.minutes.p50 < small.minutes.p50
