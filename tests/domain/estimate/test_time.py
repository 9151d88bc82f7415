"""Minutes, cost, timeouts, disk, and what finished runs teach."""

from __future__ import annotations

from dataclasses import replace
from math import log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.estimate.architecture import read_architecture
from service.domain.estimate.calibration import Z90, Calibration, Observation, calibrate
from service.domain.estimate.card import CARDS
from service.domain.estimate.cost import cost_of, recommended_timeout
from service.domain.estimate.disk import GB, checkpoints, disk_bytes
from service.domain.estimate.duration import (
    DatasetSize,
    Minutes,
    length_of,
    minutes_on,
    operations_of_step,
    operations_per_token,
    steps_of,
)
from service.domain.estimate.memory import memory_of
from service.domain.estimate.training import Training
from service.domain.money import ceiling
from tests.domain.estimate.hardware import BY_NAME, FULL, LORA, SMOLLM3
from tests.domain.estimate.test_families import MODELS

UNKNOWN = DatasetSize()


def on(flavor: str, training: Training, calibration: Calibration | None = None) -> Minutes:
    found = minutes_on(BY_NAME[flavor], SMOLLM3, training, UNKNOWN, 18e9, calibration or Calibration())
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("flavor", "training", "low", "high"),
    [
        ("a10g-large", FULL, 49.8, 82.9),
        ("a10g-large", LORA, 37.8, 62.9),
        ("l4x1", LORA, 27.3, 43.7),
        ("a100-large", FULL, 12.4, 18.6),
        ("h200", LORA, 3.3, 5.3),
    ],
)
def test_thousand_steps_of_the_course(flavor: str, training: Training, low: float, high: float) -> None:
    """By hand: (6 or 4, and 2 for the recomputed forward) x weights x tokens over peak x the range of efficiencies."""
    assert low < on(flavor, training).training < high


def test_a_guessed_share_of_the_peak_widens_the_p90() -> None:
    """Where published trainings are known their range is four fifths of all, else half."""
    assert {card.name for card in CARDS.values() if card.measured is None} == {"T4", "L4", "A10G", "L40S"}
    low, high = CARDS["L4"].efficiency
    told = on("l4x1", LORA)
    setup = told.p50 - told.training
    assert (told.p90 - 1.5 * setup) / told.training == pytest.approx((high / low) ** (Z90 / 2 / 0.6745), rel=1e-3)
    low, high = CARDS["A100"].efficiency
    told = on("a100-large", LORA)
    assert (told.p90 - 1.5 * setup) / told.training == pytest.approx((high / low) ** 0.5, rel=1e-3)


def test_published_trainings_lie_within_the_range_of_their_card() -> None:
    """Llama-3.1-8B with LoRA on an RTX PRO 6000: 4,962 tokens a second, with checkpointing or without (Exxact)."""
    llama = read_architecture(MODELS["Llama-3.1-8B"]["config"])
    low, high = CARDS["RTX PRO 6000"].efficiency
    for checkpointing in (True, False):
        training = replace(LORA, checkpointing=checkpointing, whole_logits=True)
        share = 4962 * operations_per_token(llama, training, 1024) / 504e12
        assert low < share < high
    # Qwen-7B with LoRA on an A100: eight rows of 1024 tokens in 2.8 s (QwenLM/Qwen, README)
    width, inner = 4096, 11008
    qwen = 32 * (4 * width**2 + 3 * width * inner)
    operations = 6 * qwen + 4 * 151936 * width + 16 * 32 * 1024 * width
    low, high = CARDS["A100"].efficiency
    assert low < 8 * 1024 * operations / 2.8 / 312e12 < high


def test_steps() -> None:
    rows = DatasetSize(rows=1000, bytes=1000 * 2000)
    epochs = Training(batch=8, accumulation=2)
    assert steps_of(epochs, rows, 1) == 3 * 63
    assert steps_of(epochs, rows, 4) == 3 * 16
    assert steps_of(replace(epochs, max_steps=10), rows, 4) == 10
    assert steps_of(epochs, UNKNOWN, 1) is None
    # 500 tokens a row: two and a bit in a packed one
    assert steps_of(replace(epochs, packing="flat"), rows, 1) == 3 * 31


# QwenLM/Qwen, README, "Profiling of Memory and Speed": seconds of a step of eight passes on an A100, LoRA and Q-LoRA.
QWEN = {
    (32, 4096, 11008): {1024: (2.8, 3.5), 2048: (5.2, 7.0), 4096: (10.1, 11.6), 8192: (21.3, 22.3)},
    (40, 5120, 13696): {1024: (4.4, 8.2), 2048: (8.4, 11.8), 4096: (17.0, 20.1), 8192: (36.0, 38.3)},
}


@pytest.mark.parametrize("shape", QWEN)
def test_weights_of_four_bits_cost_time_in_each_pass(shape: tuple[int, int, int]) -> None:
    layers, width, inner = shape
    config = {"model_type": "qwen2", "num_hidden_layers": layers, "hidden_size": width, "intermediate_size": inner}
    qwen = read_architecture({**config, "num_attention_heads": width // 128, "vocab_size": 151936})
    for length, (lora, qlora) in QWEN[shape].items():
        plain = replace(LORA, batch=1, accumulation=8, length=length)
        narrow = replace(plain, quantised=True)
        ratio = operations_of_step(qwen, narrow, length) / operations_of_step(qwen, plain, length)
        assert ratio == pytest.approx(qlora / lora, rel=0.3)
    assert on("a100-large", replace(LORA, quantised=True)).training > 1.1 * on("a100-large", LORA).training


def test_rows_are_padded_up_to_the_longest_that_is_allowed() -> None:
    rows = DatasetSize(rows=1000, bytes=1000 * 2000)
    assert length_of(Training(batch=1), rows) == 500
    assert length_of(Training(batch=8), rows) == 650
    assert length_of(Training(batch=8, length=256), rows) == 256
    assert length_of(Training(), UNKNOWN) == 1024


@given(st.floats(0.3, 10_000), st.floats(1, 20))
def test_a_recommended_timeout_is_above_the_p90_and_costs_are_in_order(p50: float, times: float) -> None:
    found = Minutes(p50, p50 * times, p50)
    timeout = recommended_timeout(found)
    assert timeout >= 60 * found.p90
    assert timeout % 300 == 0
    cost = cost_of(found, 25_000, timeout)
    assert cost.p50 <= cost.p90 <= cost.ceiling == ceiling(25_000, timeout)


def test_cost_is_by_the_started_minute_and_ends_with_the_timeout() -> None:
    found = Minutes(10.2, 30.0, 10)
    assert cost_of(found, 25_000, 3600).p50 == 11 * 25_000
    assert cost_of(found, 25_000, 900).p90 == 16 * 25_000  # 15 minutes and the one that a kill begins


def run(ratio: float, promised: float = 1.5) -> Observation:
    return Observation(predicted_minutes=20, promised_p90_minutes=20 * promised, measured_minutes=20 * ratio)


def test_a_calibration_moves_with_the_number_of_runs() -> None:
    factors = [calibrate([run(2.0)] * n).factor for n in (0, 1, 5, 100)]
    assert factors[0] == 1
    assert factors[1] == pytest.approx(2**0.25)
    assert factors == sorted(factors)
    assert factors[3] == pytest.approx(2, rel=0.03)
    slow = calibrate([run(2.0)] * 5)
    assert on("a10g-large", LORA, slow).p50 > on("a10g-large", LORA).p50
    # the uncalibrated prediction is what later runs are compared with
    assert on("a10g-large", LORA, slow).training == on("a10g-large", LORA).training


def test_runs_that_agree_narrow_the_range_and_coverage_is_counted() -> None:
    same = calibrate([run(1.0)] * 30)
    prior, agreed = on("a10g-large", LORA), on("a10g-large", LORA, same)
    assert agreed.p90 - agreed.p50 < prior.p90 - prior.p50
    assert same.spread_or(0.2) < 0.2 < calibrate([run(0.5), run(2.0)] * 15).spread_or(0.2)
    assert calibrate([run(1.0), run(1.4), run(1.6), run(3.0)]).within_p90 == 0.5
    assert calibrate([run(2.0)]).mean_log_ratio == pytest.approx(log(2))
    assert calibrate([]).within_p90 is None
    assert calibrate([Observation(0, 1, 1), run(1.0)]).runs == 1


def test_the_course_command_fills_a_disk() -> None:
    """12.3 GB of weights and 36.9 for each checkpoint, twice: 86 GB, and what was downloaded and installed."""
    memory = memory_of(SMOLLM3, FULL)
    written = disk_bytes(SMOLLM3, FULL, memory, 1000, None) / GB
    assert written == pytest.approx(86.1 + 6.15 + 9, abs=0.2)
    one = replace(FULL, save_limit=1)
    assert disk_bytes(SMOLLM3, one, memory, 5000, None) == disk_bytes(SMOLLM3, one, memory, 1000, None)
    assert disk_bytes(SMOLLM3, replace(FULL, saves_optimizer=False), memory, 1000, None) / GB < 60
    assert disk_bytes(SMOLLM3, FULL, memory, 1000, GB) == disk_bytes(SMOLLM3, FULL, memory, 1000, None) + 3 * GB


def test_checkpoints() -> None:
    assert checkpoints(FULL, 1000) == 2
    assert checkpoints(FULL, 499) == 1
    assert checkpoints(replace(FULL, saves="no"), 1000) == 0
    assert checkpoints(replace(FULL, saves="epoch"), 1000) == 3
    assert checkpoints(replace(FULL, save_steps=0.1), 1000) == 10
    assert checkpoints(replace(FULL, save_limit=2), 10_000) == 3
