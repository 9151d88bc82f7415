"""What forward and backward pass hold beside the states: one layer, the layers' inputs, the head.

Sizes are linear in the tokens: (A·hidden + Q·width + F·intermediate) bytes for each token. The coefficients were
fitted to counted peaks, see `memory.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

from service.domain.estimate.architecture import Architecture
from service.domain.estimate.states import States
from service.domain.estimate.training import Training


@dataclass(frozen=True)
class Coefficients:
    """Bytes per token and unit of each width."""

    hidden: float
    width: float
    mlp: float


@dataclass(frozen=True)
class Activations:
    """Bytes. `held` lives through the forward pass, `layer` is one layer being recomputed and differentiated,
    `head_gradient` the gradient of the head's weights, `cast` the weights in bfloat16 that autocast keeps."""

    held: float
    layer: float
    cast: float
    head_forward: float
    head_backward: float
    head_gradient: float


# (is full, bytes per weight)
RECOMPUTED = {
    (True, 4): Coefficients(25, 8, 13),
    (True, 2): Coefficients(21, 8, 12.5),
    (False, 4): Coefficients(31, 12, 18.6),
    (False, 2): Coefficients(31, 12, 18.6),
}
SAVED = {
    (True, 4): Coefficients(26, 8, 8.2),
    (True, 2): Coefficients(15, 8, 8.5),
    (False, 4): Coefficients(23, 12, 8.8),
    (False, 2): Coefficients(23, 12, 8.8),
}
# TRL's head makes logits in tiles of 4096 tokens by 32768 entries, in bfloat16 (trl/kernels/chunked_logprob.py).
TILE = 2 * 32768
TILE_TOKENS = 4096


def activations_of(architecture: Architecture, training: Training, states: States) -> Activations:
    """What one step holds beside its states."""
    full, wide = training.is_full, states.per_weight == 4
    tokens, hidden = training.rows * training.row_length, architecture.hidden
    key = (full, states.per_weight)
    layer = _layer(architecture, training, RECOMPUTED[key], mask=3)
    saved = _layer(architecture, training, SAVED[key], mask=2)
    if wide:
        layer += 2 * architecture.layer_parameters  # one layer's weights in bfloat16
    if training.checkpointing:
        held = float(tokens * hidden * states.per_weight * (architecture.layers + 1))
    else:
        held = architecture.layers * saved
        held += 2 * (architecture.parameters - architecture.embedding) if wide else 0
    tile = TILE * min(tokens, TILE_TOKENS)
    embedding = architecture.embedding
    gradient = states.per_weight * embedding if full else 0
    backward = tile + tokens * hidden * (2 * states.per_weight + 8) + (TILE * hidden if wide else 0)
    backward += (4 if wide else 6) * embedding if full else 0
    return Activations(
        held=held,
        layer=layer,
        cast=2.0 * architecture.parameters if full and wide and training.checkpointing else 0.0,
        head_forward=float(tile + tokens * hidden * (states.per_weight + 2)),
        head_backward=float(backward),
        head_gradient=float(gradient),
    )


def _layer(architecture: Architecture, training: Training, one: Coefficients, mask: int) -> float:
    """Bytes of one layer; `mask` bytes for each pair of tokens where attention has one."""
    full, length = training.is_full, training.row_length
    per_token = one.hidden * architecture.hidden + one.width * architecture.width + one.mlp * architecture.intermediate
    per_token += (architecture.family.norms_per_layer - 2) * (8 if full else 4) * architecture.hidden
    if architecture.family.qk_norm != "none":
        per_token += (6 if full else 4) * (architecture.width + architecture.kv_width)
    if not training.is_padded:  # keys and values are not repeated for the queries that share them
        per_token -= 4 * (architecture.width - architecture.kv_width)
    pairs = training.rows * length**2
    eager = training.attention == "eager" or (training.attention == "default" and architecture.family.eager)
    return training.rows * length * per_token + pairs * (
        (mask if training.is_padded else 0) + (8 * architecture.heads if eager else 0)
    )
