"""No number that a recipe or a model's config holds makes an estimate fail."""

from __future__ import annotations

import json
import math
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from service.domain.estimate.bounds import Bounds
from service.domain.estimate.card import CARDS, Flavor
from service.domain.facts import ModelFact, Outcome
from service.domain.foresight import foresee
from service.domain.trl_sft import TrlSft

LEAST: dict[str, Any] = {"kind": "trl_sft", "model_name_or_path": "acme/model", "dataset_name": "acme/rows"}


def recipe(**fields: Any) -> TrlSft:
    return TrlSft.model_validate({**LEAST, **fields})


HUGE = (
    st.sampled_from([1e-300, 1e-9, 0, 1, 10**6, 1e300, 10**400, math.inf, math.nan, -5]) | st.floats() | st.integers()
)
NUMBERS = (
    "max_steps",
    "num_train_epochs",
    "per_device_train_batch_size",
    "gradient_accumulation_steps",
    "max_length",
    "save_steps",
    "save_total_limit",
    "eval_steps",
    "logging_steps",
)
CONFIG = {
    "model_type": "llama",
    "hidden_size": 2048,
    "num_hidden_layers": 16,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "intermediate_size": 8192,
    "vocab_size": 128256,
}


@given(
    args=st.fixed_dictionaries({}, optional=dict.fromkeys(NUMBERS, HUGE)),
    widths=st.dictionaries(st.sampled_from([*CONFIG][1:]), HUGE),
)
@settings(max_examples=300)
def test_no_number_makes_an_estimate_fail(args: dict[str, Any], widths: dict[str, Any]) -> None:
    """As it was stored, whatever was allowed then; a model may say anything of itself."""
    one = recipe(lora={}).model_copy(update={"args": args})
    model = ModelFact(outcome=Outcome.FOUND, sha="0" * 40, config={**CONFIG, **widths})
    flavors = [
        Flavor("t4-small", 10_000, CARDS["T4"], 1, 50),
        Flavor("cpu-basic", 100),
        Flavor("l4x1", 13_000, CARDS["L4"], 1),
    ]
    found = foresee(one, model, None, None, flavors, timeout_seconds=3600)
    for flavor in flavors:
        found.refusal(flavor.name)
        json.dumps([found.as_json(flavor.name), found.stored(flavor.name)], allow_nan=False)
    found.choose("cheapest", Bounds(600, 10**6))
