"""What forward and backward pass hold beside the states: one layer, the layers' inputs, the head.

A layer's bytes are linear in the tokens: A·hidden + Q·width + F·intermediate for each, and some for each pair of
tokens that attention masks. The coefficients of a gated MLP behind RMS norms with LoRA on every linear layer were
fitted to the counted peaks (see `memory.py`). What other parts add or save was counted by varying one width at a time
in the real classes of GPT-NeoX, StableLM, StarCoder2, Nemotron, GPT-2, OLMo and OLMo-2, and agrees with what autograd
keeps of each operation.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from service.domain.estimate.adapters import targeted
from service.domain.estimate.architecture import Architecture
from service.domain.estimate.head import head_of
from service.domain.estimate.states import States
from service.domain.estimate.training import Training


@dataclass(frozen=True)
class Coefficients:
    """Bytes per token and unit of each width."""

    hidden: float
    width: float
    mlp: float

    def plus(self, hidden: float = 0, width: float = 0, mlp: float = 0) -> Coefficients:
        """With something added to each."""
        return replace(self, hidden=self.hidden + hidden, width=self.width + width, mlp=self.mlp + mlp)


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


# (is full, bytes per weight): one layer while it is differentiated, and what a layer keeps for that.
DIFFERENTIATED = {
    (True, 4): Coefficients(25, 8, 13),
    (True, 2): Coefficients(21, 8, 12.5),
    (False, 4): Coefficients(31, 12, 18.6),
    (False, 2): Coefficients(31, 12, 18.6),
}
KEPT = {
    (True, 4): Coefficients(26, 8, 8.2),
    (True, 2): Coefficients(15, 8, 8.5),
    (False, 4): Coefficients(23, 12, 8.8),
    (False, 2): Coefficients(23, 12, 8.8),
}
# A norm that is one operation keeps its input only, not the steps of an RMS norm: less for two of them.
ONE_STEP_NORMS = {(True, 4): 8, (True, 2): 4, (False, 4): 0, (False, 2): 0}
# The adapters of query, key, value, gate and up are in the coefficients above: each keeps its input after dropout, two
# bytes, and the mask, one.
ADAPTERS_ON_HIDDEN = 5
# For a moment the input of the MLP's last layer is there in float32 before and after its adapter's dropout.
DROPPED_INPUT = 6


def activations_of(architecture: Architecture, training: Training, states: States) -> Activations:
    """What one step holds beside its states."""
    full, wide = training.is_full, states.per_weight == 4
    tokens, hidden, embedding = training.tokens, architecture.hidden, architecture.embedding
    key = (full, states.per_weight)
    differentiated = _adapted(architecture, training, DIFFERENTIATED[key], key)
    if not _drops_at_the_end(architecture, training):
        differentiated = differentiated.plus(mlp=-DROPPED_INPUT)
    layer = _layer(architecture, training, differentiated, mask=3)
    kept = _layer(architecture, training, _adapted(architecture, training, KEPT[key], key), mask=2)
    in_layers = architecture.layers * architecture.layer_parameters
    if wide and not training.quantised:
        layer += 2 * architecture.layer_parameters  # one layer's weights in bfloat16
    if training.quantised:
        layer += 2 * max(one.inputs * one.outputs for one in architecture.linears)  # one matrix, unpacked
    if training.checkpointing:
        held = float(tokens * hidden * states.per_weight * (architecture.layers + 1))
    else:
        held = architecture.layers * kept
        held += 2 * (architecture.parameters - embedding) if wide and not training.quantised else 0
    head = head_of(architecture, training, states)
    return Activations(
        held=held,
        layer=layer,
        cast=2.0 * in_layers if full and wide and training.checkpointing else 0.0,
        head_forward=head.forward,
        head_backward=head.backward,
        head_gradient=float(states.per_weight * embedding if full else 0),
    )


def _adapted(architecture: Architecture, training: Training, one: Coefficients, key: tuple[bool, int]) -> Coefficients:
    """The coefficients for the parts that this architecture and these adapters have."""
    family = architecture.family
    if family.norm in ("layer", "none"):
        one = one.plus(hidden=-ONE_STEP_NORMS[key])
    if architecture.mlp == "plain":
        one = one.plus(mlp=-4)
    if architecture.mlp == "manual":
        one = one.plus(mlp=2)
    if architecture.rotates_part:
        one = one.plus(width=2)
    if family.parallel and key == (True, 4):
        one = one.plus(hidden=-4)  # the norms of both read one input, which is kept once
    if architecture.drops_residual:
        one = one.plus(hidden=2)
    if training.adapters is None:
        return one
    # gpt2's attention and MLP both end in a `c_proj`: which of the two an adapter is on, its place says
    linears = targeted(architecture, training.adapters.targets)
    *first, output = architecture.linears[: len(family.attention)]
    *up, down = architecture.linears[len(family.attention) :]
    on_hidden = sum(linear in linears for linear in (*first, *up))
    one = one.plus(
        hidden=-3 * (ADAPTERS_ON_HIDDEN - on_hidden), width=-3 * (output not in linears), mlp=-3 * (down not in linears)
    )
    if training.adapters.dropout == 0:
        one = one.plus(hidden=-on_hidden, width=-(output in linears), mlp=-(down in linears))
    return one


def _drops_at_the_end(architecture: Architecture, training: Training) -> bool:
    """Whether the adapter of the MLP's last layer has dropout; the coefficients of LoRA are for one that has."""
    adapters = training.adapters
    if adapters is None:
        return True
    return adapters.dropout > 0 and architecture.linears[-1] in targeted(architecture, adapters.targets)


def _layer(architecture: Architecture, training: Training, one: Coefficients, mask: int) -> float:
    """Bytes of one layer; `mask` bytes for each pair of tokens where attention has one."""
    full, length = training.is_full, training.row_length
    # a window that is shorter than the text takes a mask, as rows of different length do
    masked = training.is_padded or (architecture.window is not None and architecture.window < length)
    per_token = one.hidden * architecture.hidden + one.width * architecture.width + one.mlp * architecture.intermediate
    per_token += max(0, architecture.family.norms_per_layer - 2) * (8 if full else 4) * architecture.hidden
    if architecture.family.qk_norm != "none":
        per_token += (6 if full else 4) * (architecture.width + architecture.kv_width)
    if not masked:  # keys and values are not repeated for the queries that share them
        per_token -= 4 * (architecture.width - architecture.kv_width)
    pairs = training.rows * length**2
    eager = training.attention == "eager" or (training.attention == "default" and architecture.family.eager)
    return training.rows * length * per_token + pairs * (
        (mask if masked else 0) + (8 * architecture.heads if eager else 0)
    )
