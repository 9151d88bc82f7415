"""The peak of GPU memory in one training step, as a sum of named terms.

The formula is an account of four moments, of which the greatest counts: the end of the forward pass (the head works),
the top of the backward pass, its end (all gradients are there, the first layer is being differentiated), and the
optimizer's step. It was fitted to peaks of the real transformers 5.23, TRL 1.16 and peft 0.21 code, counted tensor by
tensor under PyTorch's FakeTensorMode: see `tests/domain/estimate/test_points.py`. No CUDA context, no fragmentation:
`verdict.py` adds them. The head's terms are those of the release: TRL 1.16 works in tiles, 0.29.1 on all logits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from service.domain.estimate.activations import Activations, activations_of
from service.domain.estimate.architecture import Architecture
from service.domain.estimate.states import States, states_of
from service.domain.estimate.training import Training

GIB = 2**30


@dataclass(frozen=True)
class Memory:
    """The peak, when it is reached, and the terms whose sum it is, in bytes; a checkpoint saves `trained_bytes`."""

    moment: str
    terms_bytes: Mapping[str, float]
    trained_bytes: float

    @property
    def peak_gib(self) -> float:
        """Bytes that live at the peak, in GiB."""
        return sum(self.terms_bytes.values()) / GIB


def memory_of(architecture: Architecture, training: Training) -> Memory:
    """The peak of one training step on one GPU. Raises NotCovered."""
    states = states_of(architecture, training)
    live = activations_of(architecture, training, states)
    kept = {"weights": states.weights, "adapters": states.adapters, "optimizer": states.optimizer}
    grown = {"gradients": states.gradients}
    # the second batch of an accumulated step finds the gradients of the first
    before = grown if training.accumulation > 1 else {"gradients": 0.0}
    held = {"activations": live.held}
    moments = {
        "forward": {**kept, **before, **held, "cast": live.cast, "head": live.head_forward},
        "backward": {**kept, **before, **held, **_top(training, live)},
        "end of backward": {**kept, **grown, **_end(architecture, training, states, live)},
        "optimizer": {**kept, **grown, "step": states.step},
    }
    moment = max(moments, key=lambda name: sum(moments[name].values()))
    trained = states.weights if training.is_full else states.adapters
    return Memory(moment, {name: size for name, size in moments[moment].items() if size or name in kept}, trained)


def _top(training: Training, live: Activations) -> dict[str, float]:
    """The backward pass begins with the head; then its gradient waits while the last layer is recomputed."""
    layer = live.layer if training.checkpointing else 0.0
    if live.head_backward >= live.head_gradient + layer:
        return {"head": live.head_backward}
    return {"layer": layer, "head": live.head_gradient}


def _end(architecture: Architecture, training: Training, states: States, live: Activations) -> dict[str, float]:
    """The first layer's gradients are in the sum already, as is an untied head's; the embedding's comes last."""
    layer, embedding = live.layer, 0.0
    if training.is_full:
        layer -= states.per_weight * architecture.layer_parameters
        layer -= 0.0 if architecture.tied else live.head_gradient
        again = training.accumulation > 1
        if architecture.tied or again:
            embedding = live.head_gradient + 2 * training.tokens * architecture.hidden * states.per_weight
        if architecture.tied and again:  # the head's part of this batch waits for the embedding's
            layer, embedding = layer + live.head_gradient, embedding + live.head_gradient
    return {"layer": max(layer, 0.0)} if layer >= embedding else {"embedding": embedding}
