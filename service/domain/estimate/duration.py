"""Minutes of a training: floating point operations over what the card does of them, and the minutes around it.

A matrix multiplication costs two operations per weight and token forward, the same for the gradient of its input, and
the same for that of the weight, which frozen weights do not need (LoRA: 4 in place of 6; NeMo Automodel counts so
too). Gradient checkpointing repeats the forward pass of the layers. A head that works in tiles repeats its own.
Attention adds 12 x layers x length x width per token (Chowdhery et al. 2022, "PaLM", appendix B).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, exp

from service.domain.estimate.architecture import Architecture
from service.domain.estimate.calibration import Z90, Calibration
from service.domain.estimate.card import Flavor
from service.domain.estimate.training import Training

# English text in UTF-8 has about four bytes a token with vocabularies of 32k to 256k; a dataset's size is mostly text.
BYTES_PER_TOKEN = 4.0
# Rows of a batch are padded to its longest.
PADDING = 1.3
# Image, environment and tokenising; then weights that come and go at 100 MB/s. Assumptions, 6 minutes for SmolLM3-3B.
SETUP_MINUTES = 3.0
BYTES_PER_MINUTE = 6e9
SETUP_P90 = 1.5
# Weights of 4 bits are made wide again in each pass, whatever its tokens: as much work as so many tokens more. Q-LoRA
# against LoRA of 7B and 14B on an A100, from 1024 tokens a pass on, comes to 270 to 860, 640 at the median
# (QwenLM/Qwen, README, "Profiling of Memory and Speed": 2.8 and 3.5 s, 4.4 and 8.2 s a step; by GPTQ's kernels).
DEQUANTISED_AS_TOKENS = 640
# A second, third … GPU brings this share of the first: 0.96 with LoRA's few gradients (Exxact, on PCIe), less with all.
PARALLEL = 0.9


@dataclass(frozen=True)
class DatasetSize:
    """Rows of the split and bytes of its table, as the Hub tells them; None where it does not. `is_small`: it is a file
    that was read whole, and so small that it may stand in for other data: no length is taken from it."""

    rows: int | None = None
    bytes: int | None = None
    is_small: bool = False

    @property
    def row_tokens(self) -> float | None:
        """Mean tokens per row."""
        if self.is_small or not self.rows or not self.bytes:
            return None
        return self.bytes / self.rows / BYTES_PER_TOKEN


@dataclass(frozen=True)
class Minutes:
    """Minutes of a job: half of such jobs end within `p50`, nine of ten within `p90`. `training` is the p50 without
    setup and calibration: what finished runs are compared with."""

    p50: float
    p90: float
    training: float

    @property
    def told_p50(self) -> float:
        """The p50 to a tenth of a minute: what is shown, stored, and held against a timeout."""
        return round(self.p50, 1)


def steps_of(training: Training, dataset: DatasetSize, gpus: int) -> float | None:
    """Optimizer steps, as transformers counts them (trainer.py: rounded up for epochs and rows); None where neither
    `max_steps` nor the rows of the dataset are known. Packed rows are taken to fill their sequences without a gap."""
    if training.max_steps is not None:
        return training.max_steps
    if dataset.rows is None:
        return None
    rows = float(dataset.rows)
    if training.packing != "none":
        rows *= min(1.0, (dataset.row_tokens or training.length) / training.length)
    return ceil(training.epochs * ceil(rows / (training.batch * training.accumulation * gpus)))


def length_of(training: Training, dataset: DatasetSize) -> float:
    """Mean tokens of a row as the card computes it. Rows of unknown length count as full."""
    if dataset.row_tokens is None or training.packing != "none":
        return training.length
    padding = PADDING if training.batch > 1 else 1.0
    return min(float(training.length), max(1.0, dataset.row_tokens * padding))


def operations_per_token(architecture: Architecture, training: Training, length: float) -> float:
    """Floating point operations for one token, forward and backward."""
    in_layers = architecture.layers * architecture.layer_parameters
    attention = architecture.layers * length * architecture.width
    passes = 6 if training.is_full else 4
    again = 2 if training.checkpointing else 0
    in_head = passes if training.whole_logits else passes + 2
    return (passes + again) * in_layers + in_head * architecture.embedding + (12 + 2 * again) * attention


def operations_of_step(architecture: Architecture, training: Training, length: float) -> float:
    """Floating point operations of one optimizer step on one GPU, and what else takes as long."""
    tokens = training.accumulation * training.batch * length
    again = 0.0
    if training.quantised:
        in_layers = (6 if training.checkpointing else 4) * architecture.layers * architecture.layer_parameters
        again = training.accumulation * DEQUANTISED_AS_TOKENS * in_layers
    return operations_per_token(architecture, training, length) * tokens + again


def minutes_on(
    flavor: Flavor,
    architecture: Architecture,
    training: Training,
    dataset: DatasetSize,
    moved_bytes: float,
    calibration: Calibration,
) -> Minutes | None:
    """Minutes of the job on a flavor; None where the card's speed or the number of steps is not known, or the training
    is told to use the CPU. `moved_bytes` is what is downloaded and published."""
    card = flavor.card
    steps = steps_of(training, dataset, max(1, flavor.gpus))
    if training.on_cpu:
        return None  # the card is not used
    if card is None or card.tflops is None or steps is None or not (card.has_bf16 or training.computes == "fp16"):
        return None
    share = 1.0 if flavor.gpus <= 1 else PARALLEL
    low, high = card.efficiency
    speed = card.tflops * 1e12 * (low * high) ** 0.5 * share
    predicted = steps * operations_of_step(architecture, training, length_of(training, dataset)) / speed / 60
    spread = calibration.spread_or(card.spread)
    median = predicted * calibration.factor
    setup = SETUP_MINUTES + moved_bytes / BYTES_PER_MINUTE
    return Minutes(setup + median, SETUP_P90 * setup + median * exp(Z90 * spread), predicted)
