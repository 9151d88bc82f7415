"""Verdicts on Hugging Face's flavors, what would make a training fit, and which flavor `auto` takes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.estimate.architecture import NotCovered, read_architecture
from service.domain.estimate.bounds import Bounds
from service.domain.estimate.card import read_flavor
from service.domain.estimate.choice import choose
from service.domain.estimate.duration import DatasetSize
from service.domain.estimate.estimate import Estimate, change_for, estimate
from service.domain.estimate.training import Adapters, Training, read_training
from service.domain.estimate.verdict import Verdict, memory_verdict
from service.domain.estimate.wire import estimate_json
from tests.domain.estimate.hardware import BY_NAME, COURSE, FLAVORS, FULL, LORA, SMOLLM3
from tests.domain.estimate.test_families import MODELS


def fitting(found: Estimate) -> set[str]:
    return {one.flavor.name for one in found.flavors if one.is_usable and one.flavor.gpus == 1}


def test_the_course_model_on_hugging_faces_flavors() -> None:
    """A full fine-tune of 3B with TRL's defaults needs 80 GB; LoRA does with 24."""
    large = {"a100-large", "rtx-pro-6000", "h200"}
    assert fitting(estimate(SMOLLM3, FULL, FLAVORS)) == large
    narrow = estimate(SMOLLM3, replace(FULL, dtype="bf16"), FLAVORS)
    assert fitting(narrow) == large | {"l40sx1"}
    medium = large | {"l40sx1", "l4x1", "a10g-small", "a10g-large"}
    assert fitting(estimate(SMOLLM3, LORA, FLAVORS)) == medium
    assert fitting(estimate(SMOLLM3, replace(LORA, dtype="bf16"), FLAVORS)) == medium | {"t4-small", "t4-medium"}


def test_flavors_come_cheapest_first_and_those_without_a_price_last() -> None:
    unpriced = replace(BY_NAME["a10g-small"], name="a", price_per_minute_micro_usd=None)
    found = estimate(SMOLLM3, LORA, [unpriced, *reversed(FLAVORS)])
    prices = [one.flavor.price_per_minute_micro_usd for one in found.flavors]
    assert prices[-1] is None
    known = [price for price in prices if price is not None]
    assert known == sorted(known)
    last = found.of("a")
    assert last is not None
    assert last.minutes is not None
    assert last.cost is None


def test_borders_of_the_verdicts() -> None:
    assert memory_verdict(20.0, 22.0) is Verdict.TIGHT  # 1.05 x 20 + 1
    assert memory_verdict(20.01, 22.0) is Verdict.DOES_NOT_FIT
    assert memory_verdict(17.8, 22.0) is Verdict.FITS  # 1.2 x 17.8 + 0.6 = 21.96
    assert memory_verdict(17.9, 22.0) is Verdict.TIGHT


def test_a_disk_that_is_too_small_does_not_fit() -> None:
    small = replace(BY_NAME["a100-large"], disk_gb=60.0)
    found = estimate(SMOLLM3, FULL, [small]).flavors[0]
    assert (found.verdict, found.cost) == (Verdict.DOES_NOT_FIT, None)
    assert "disk" in found.message
    kept = read_training({**COURSE, "save_strategy": "no"})
    assert estimate(SMOLLM3, kept, [small]).flavors[0].verdict is Verdict.FITS


def test_cards_are_read_from_the_listing_not_from_names() -> None:
    listed = {"name": "x", "accelerator": {"type": "gpu", "model": "A100", "quantity": "4", "vram": "320 GB"}}
    four = read_flavor(listed, 1)
    assert four.card is not None
    assert (four.gpus, four.card.usable_gib) == (4, 79.1)
    half = read_flavor({"name": "x", "accelerator": {**listed["accelerator"], "vram": "160 GB"}}, 1)  # type: ignore[dict-item]
    assert half.card is not None
    assert half.card.usable_gib == pytest.approx(36.4)
    unknown = read_flavor(
        {"name": "y", "accelerator": {"type": "gpu", "model": "B300", "quantity": "1", "vram": "288 GB"}}, 100_000
    )
    found = estimate(SMOLLM3, FULL, [unknown]).flavors[0]
    assert (found.verdict, found.minutes, found.cost) == (Verdict.FITS, None, None)
    assert all(flavor.card is not None and flavor.card.tflops for flavor in FLAVORS if flavor.gpus)


def test_without_a_gpu() -> None:
    cpu = BY_NAME["cpu-basic"]
    assert estimate(SMOLLM3, LORA, [cpu]).flavors[0].verdict is Verdict.DOES_NOT_FIT
    assert estimate(SMOLLM3, replace(LORA, on_cpu=True), [cpu]).flavors[0].verdict is Verdict.NOT_COVERED


@given(
    st.sampled_from(sorted(MODELS)),
    st.sampled_from([flavor for flavor in FLAVORS if flavor.gpus == 1]),
    st.builds(
        Training,
        batch=st.sampled_from([1, 3, 8, 32]),
        length=st.sampled_from([1024, 4096]),
        checkpointing=st.booleans(),
        dtype=st.sampled_from(["fp32", "bf16"]),
        adapters=st.none() | st.just(Adapters()),
    ),
)
def test_an_advised_change_really_fits(name: str, flavor: object, training: Training) -> None:
    architecture = read_architecture(MODELS[name]["config"])
    assert flavor in FLAVORS
    change = change_for(architecture, training, flavor)  # type: ignore[arg-type]
    if change is None:
        return
    # read back from the flags that it names
    adapters = training.adapters or (Adapters(rank=change.lora["r"]) if change.lora else None)
    asked = {
        "per_device_train_batch_size": training.batch,
        "max_length": training.length,
        "gradient_checkpointing": training.checkpointing,
        "dtype": "float32" if training.dtype == "fp32" else "bfloat16",
        "load_in_4bit": change.quantization is not None,
        "save_strategy": "no",
    }
    changed = read_training({**asked, **change.args}, adapters)
    assert replace(changed, saves="steps") == change.training
    assert changed.batch * changed.accumulation == training.batch
    found = estimate(architecture, changed, [flavor]).flavors[0]  # type: ignore[list-item]
    assert found.is_usable or "disk" in found.message


def test_the_smallest_change_comes_first() -> None:
    a10g = BY_NAME["a10g-large"]
    change = change_for(SMOLLM3, FULL, a10g)
    assert change is not None
    assert (change.args, change.lora) == ({"dtype": "bfloat16", "optim": "adamw_8bit"}, None)
    # what leaves the result as it is goes before what does not
    careless = replace(LORA, checkpointing=False)
    change = change_for(SMOLLM3, careless, a10g)
    assert change is not None
    assert change.args == {"gradient_checkpointing": True}
    assert change_for(SMOLLM3, replace(FULL, batch=1), BY_NAME["cpu-basic"]) is None


def test_auto_takes_the_cheapest_or_the_fastest_within_a_cap() -> None:
    found = estimate(SMOLLM3, LORA, FLAVORS)
    cheapest, fastest = choose(found), choose(found, "fastest")
    assert cheapest.flavor == found.recommended == "l4x1"
    assert "cheapest" in cheapest.reason
    assert fastest.flavor == "h200"
    h200 = found.of("h200")
    assert h200 is not None
    assert h200.cost is not None
    assert choose(found, "fastest", Bounds(cap_micro_usd=h200.cost.p90 - 1)).flavor == "rtx-pro-6000"
    none = choose(found, "cheapest", Bounds(cap_micro_usd=10_000))
    assert none.flavor is None
    assert "comes closest" in none.reason


def test_auto_without_minutes_takes_the_lowest_price() -> None:
    unknown_steps = read_training({"per_device_train_batch_size": 4}, Adapters(rank=8))
    found = estimate(SMOLLM3, unknown_steps, FLAVORS)
    assert any("neither max_steps" in warning for warning in found.warnings)
    assert choose(found).flavor == "l4x1"
    assert choose(found, "cheapest", Bounds(cap_micro_usd=5_000_000)).flavor is None
    # with a timeout it is known what can be spent
    assert choose(found, "cheapest", Bounds(3600, 5_000_000)).flavor == "l4x1"
    none = choose(found, "cheapest", Bounds(3600, 100_000))
    assert none.flavor is None
    assert "too dear: l4x1 ($0.81" in none.reason


def test_what_is_not_covered_has_no_numbers() -> None:
    for found in (
        estimate(NotCovered("'x' is a mixture of experts"), LORA, FLAVORS),
        estimate(SMOLLM3, NotCovered("Liger kernels"), FLAVORS),
        estimate(SMOLLM3, replace(LORA, adapters=Adapters(targets=("lm_head",))), FLAVORS),
    ):
        assert found.warnings[0].startswith("not covered: ")
        assert {one.verdict for one in found.flavors} == {Verdict.NOT_COVERED}
        assert all(one.vram_gib is None and one.cost is None for one in found.flavors)
        assert choose(found).flavor is None


def test_a_t4_only_emulates_bfloat16() -> None:
    small = replace(LORA, dtype="bf16")
    assert estimate(SMOLLM3, small, [BY_NAME["t4-small"]]).flavors[0].minutes is None
    assert estimate(SMOLLM3, replace(small, computes="fp16"), [BY_NAME["t4-small"]]).flavors[0].minutes is not None


def test_the_answer_on_the_wire() -> None:
    body = estimate_json(estimate(SMOLLM3, LORA, FLAVORS, dataset=DatasetSize(rows=2260, bytes=4_000_000)))
    assert set(body) == {"flavors", "recommended", "memory", "warnings"}
    item = next(one for one in body["flavors"] if one["flavor"] == "a10g-large")
    assert item["verdict"] == "fits"
    assert item["minutes"]["p50"] < item["minutes"]["p90"]
    assert item["cost_usd"]["p50"] <= item["cost_usd"]["p90"] <= item["cost_usd"]["ceiling"]
    assert sum(body["memory"]["terms_gib"].values()) == pytest.approx(body["memory"]["peak_gib"], abs=0.02)
