"""An advised change can be sent as it is told: the release takes it, the card can compute it, and it fits."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from service.domain.facts import ModelFact, Outcome
from service.domain.foresight import Foresight, foresee
from service.domain.trl_sft import TrlSft
from tests.domain.estimate.hardware import BY_NAME
from tests.domain.estimate.test_families import MODELS

SINGLE = {name: flavor for name, flavor in BY_NAME.items() if flavor.gpus == 1}
args = st.fixed_dictionaries(
    {"per_device_train_batch_size": st.sampled_from([1, 4, 6, 16, 64]), "save_strategy": st.just("no")},
    optional={
        "gradient_checkpointing": st.booleans(),
        "activation_checkpointing": st.booleans(),
        "dtype": st.sampled_from(["float32", "bfloat16", "auto"]),
        "max_length": st.sampled_from([512, 4096]),
        "optim": st.sampled_from(["adamw_torch", "adafactor", "adamw_bnb_8bit", "sgd"]),
        "model_init_kwargs": st.just({"dtype": "float32"}),
        "max_steps": st.just(100),
    },
)


def recipe(args: dict[str, Any], **fields: Any) -> TrlSft:
    return TrlSft(kind="trl_sft", model_name_or_path="acme/model", dataset_name="acme/rows", args=args, **fields)


def ahead(of: TrlSft, model: str, flavor: str) -> Foresight:
    config = {**MODELS[model]["config"], "dtype": "bfloat16"}
    fact = ModelFact(outcome=Outcome.FOUND, sha="0" * 40, config=config)
    return foresee(of, fact, None, None, [BY_NAME[flavor]])


@given(
    args,
    st.sampled_from(["Qwen2.5-0.5B", "SmolLM3-3B", "Mistral-7B-v0.3", "Gemma-2-9B"]),
    st.sampled_from(sorted(SINGLE)),
    st.booleans(),
    st.sampled_from(["1.16.0", "0.29.1"]),
    st.booleans(),
)
def test_an_advised_change_can_be_sent_and_fits(
    args: dict[str, Any], model: str, flavor: str, lora: bool, version: str, half: bool
) -> None:
    if half:
        args = {**args, "fp16": True, "bf16": False}
    fields: dict[str, Any] = {"trl_version": version, **({"lora": {}} if lora else {})}
    before = recipe(args, **fields)
    change = ahead(before, model, flavor).as_json(flavor)["change"]
    if change is None:
        return
    card = SINGLE[flavor].card
    assert card is not None
    if not card.has_bf16:
        assert "bfloat16" not in change["args"].values()
        assert change["args"].get("bf16") is not True
        assert change["quantization"] is None, "TRL makes the adapters of a quantised model bfloat16"
    for part in ("lora", "quantization"):
        if change[part] is not None:
            fields[part] = change[part]
    after = recipe({**args, **change["args"]}, **fields)  # validated as if it had been posted
    found = ahead(after, model, flavor).on(flavor)
    assert found is not None
    assert found.is_usable or "disk" in found.message


def test_a_card_without_bfloat16_is_told_float16_where_that_can_be_trained() -> None:
    lora = ahead(recipe({"per_device_train_batch_size": 1}, lora={}), "Phi-3-mini", "t4-small").as_json("t4-small")
    assert lora["change"]["args"] == {"dtype": "float16", "bf16": False, "fp16": True}
    whole = recipe({"per_device_train_batch_size": 1, "save_strategy": "no"})
    full = ahead(whole, "Qwen2.5-0.5B", "t4-small").as_json("t4-small")
    assert full["change"] is None, "it fits"
    larger = ahead(whole, "Llama-3.2-1B", "t4-small").as_json("t4-small")
    assert "dtype" not in larger["change"]["args"], "trained weights cannot be float16"


def test_4_bits_are_told_as_the_field_that_they_are() -> None:
    big = ahead(recipe({"per_device_train_batch_size": 1}, lora={}), "Phi-4", "l4x1").as_json("l4x1")["change"]
    assert big["quantization"] == {"bits": 4}
    assert "quantization bits 4" in big["message"]
    assert "load_in_4bit" not in big["args"]


def test_a_checkpointing_flag_is_changed_by_the_name_that_counts() -> None:
    args = {"per_device_train_batch_size": 8, "activation_checkpointing": False, "gradient_checkpointing": True}
    change = ahead(recipe(args, lora={}), "SmolLM3-3B", "a10g-large").as_json("a10g-large")["change"]
    assert change["args"]["activation_checkpointing"] is True
    assert "gradient_checkpointing" not in change["args"]
