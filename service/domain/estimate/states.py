"""What stays in GPU memory from step to step: weights, adapters, optimizer state; and the gradients.

Checked by counting the real tensors of TRL 1.16 runs: 16 bytes per parameter with TRL's defaults (float32 weights,
gradients and both moments of AdamW), 8 with bfloat16 weights, for LoRA the base's weights and 16 per adapter
parameter, as peft keeps adapters in float32.
"""

from __future__ import annotations

from dataclasses import dataclass

from service.domain.estimate.adapters import adapter_parameters
from service.domain.estimate.architecture import Architecture, NotCovered
from service.domain.estimate.training import Training

# NF4: half a byte, and a float32 scale for each 64 weights (Dettmers et al. 2023, "QLoRA").
NF4_BYTES = 0.5625
# 8-bit Adam: two moments of one byte, and a float32 scale per block of 256 for each (bitsandbytes).
ADAM_8BIT_BYTES = 2 + 2 * 4 / 256


# Bytes per element of the largest matrix while Adafactor updates it, with float32 and with bfloat16 weights.
ADAFACTOR_STEP = {4: 8, 2: 16}


@dataclass(frozen=True)
class States:
    """Bytes. `step` is what the optimizer's step needs for a moment on top; `per_weight` is the width of one weight."""

    per_weight: int
    weights: float
    adapters: float
    optimizer: float
    gradients: float
    step: float


def states_of(architecture: Architecture, training: Training) -> States:
    """The states of a training. Raises NotCovered."""
    per_weight = weight_bytes(architecture, training)
    weights = float(per_weight * architecture.parameters)
    if training.quantised:
        in_linears = architecture.layers * sum(one.inputs * one.outputs for one in architecture.linears)
        weights -= (per_weight - NF4_BYTES) * in_linears
    if training.adapters is None:
        optimizer, step = _optimizer(architecture, training.optimizer, per_weight)
        return States(per_weight, weights, 0.0, optimizer, weights, step)
    # TRL turns the adapters of a quantised model into bfloat16
    per_adapter = 2 if training.quantised else 4
    count = adapter_parameters(architecture, training.adapters.rank, training.adapters.targets)
    kept = {"adamw": 2 * per_adapter, "adamw_foreach": 2 * per_adapter, "adamw_8bit": ADAM_8BIT_BYTES}
    step = per_adapter * count if training.optimizer in ("adamw_foreach", "adafactor") else 0
    return States(
        per_weight,
        weights,
        float(per_adapter * count),
        kept.get(training.optimizer, 0) * count,
        per_adapter * count,
        step,
    )


def weight_bytes(architecture: Architecture, training: Training) -> int:
    """Bytes of one weight as it is loaded: as asked for, or as stored. Raises NotCovered where that is not known."""
    if training.dtype != "stored":
        return 4 if training.dtype == "fp32" else 2
    if architecture.stored_weight_bytes is None:
        raise NotCovered("'dtype': 'auto' for a model whose config.json does not name its type")
    return architecture.stored_weight_bytes


def _optimizer(architecture: Architecture, optimizer: str, per_weight: int) -> tuple[float, float]:
    """State of an optimizer of all weights, and what its step needs for a moment, in bytes."""
    everything = architecture.parameters
    match optimizer:
        case "adamw":  # fused: nothing beside
            return 2 * per_weight * everything, 0
        case "adamw_foreach":  # the square roots of all second moments at once (torch.optim, _multi_tensor_adamw)
            return 2 * per_weight * everything, per_weight * everything
        case "adamw_8bit":  # transformers' Trainer keeps those of embeddings in float32
            return ADAM_8BIT_BYTES * (everything - architecture.embedding) + 8 * architecture.embedding, 0
        case "adafactor":
            return _adafactor(architecture, per_weight)
        case _:
            return 0, 0


def _adafactor(architecture: Architecture, per_weight: int) -> tuple[float, float]:
    """Adafactor keeps float32 means of rows and columns (Shazeer and Stern 2018), and works on one matrix at a time."""
    matrices = architecture.layers * sum(one.inputs + one.outputs for one in architecture.linears)
    embeddings = (1 if architecture.tied else 2) * (architecture.vocabulary + architecture.hidden)
    largest = max(architecture.embedding, *(one.inputs * one.outputs for one in architecture.linears))
    return 4 * (matrices + embeddings), ADAFACTOR_STEP[per_weight] * largest
