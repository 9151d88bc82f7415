"""What the output head holds in GPU memory, by how a release of TRL works there.

TRL 1.16 makes logits and forgets them tile by tile. 0.29.1 makes those of all tokens at once: within the loss they are
there in bfloat16, in float32 and as logarithms of probabilities; afterwards these and one float32 copy, beside which
the entropy works on rows in blocks; and in the backward pass these with two gradients. Both were counted in the real
classes, see `peaks.json` and `peaks_0.29.1.json` of the tests.
"""

from __future__ import annotations

from dataclasses import dataclass

from service.domain.estimate.architecture import Architecture
from service.domain.estimate.states import States
from service.domain.estimate.training import Training

# Tiles are of 4096 tokens by 32768 entries, in bfloat16 (TRL 1.16, trl/kernels/chunked_logprob.py).
TILE_TOKENS = 4096
TILE_ENTRIES = 32768
# Bytes for each token and entry of the vocabulary (TRL 0.29.1, SFTTrainer.compute_loss; transformers, ForCausalLMLoss).
IN_LOSS, AFTER_LOSS, IN_BACKWARD = 10, 8, 12
# The entropy works on so many rows, with three float32 of each entry (TRL 0.29.1, entropy_from_logits).
ENTROPY_ROWS, IN_ENTROPY = 128, 12


@dataclass(frozen=True)
class Head:
    """Bytes at the end of the forward pass, and from there to the top of the backward pass."""

    forward: float
    backward: float


def head_of(architecture: Architecture, training: Training, states: States) -> Head:
    """What the head holds at once."""
    return (_whole if training.whole_logits else _tiled)(architecture, training, states.per_weight == 4)


def _tiled(architecture: Architecture, training: Training, wide: bool) -> Head:
    tokens, hidden, per_weight = training.tokens, architecture.hidden, 4 if wide else 2
    tile = 2 * TILE_ENTRIES * min(tokens, TILE_TOKENS)
    slice_of_head = 2 * min(TILE_ENTRIES, architecture.vocabulary) * hidden if wide else 0  # tile by tile in bfloat16
    gradient = (4 if wide else 6) * architecture.embedding if training.is_full else 0
    return Head(
        float(tile + tokens * hidden * (per_weight + (10 if wide else 7)) + slice_of_head),
        float(tile + tokens * hidden * (2 * per_weight + 8) + slice_of_head + gradient),
    )


def _whole(architecture: Architecture, training: Training, wide: bool) -> Head:
    tokens, entries = training.tokens, architecture.vocabulary
    after = AFTER_LOSS * tokens + IN_ENTROPY * min(tokens, ENTROPY_ROWS)
    backward = entries * max(IN_BACKWARD * tokens, after)
    if training.is_full:  # the logits' gradient, with that of the head's weights in bfloat16 and in their own width
        backward = max(backward, 2 * tokens * entries + (6 if wide else 2) * architecture.embedding)
    kept = 2 * tokens * architecture.hidden + (2 * architecture.embedding if wide else 0)  # its operands in bfloat16
    kept += 2 * tokens * entries if architecture.caps_logits else 0  # what the cap's tanh gave
    return Head(float(IN_LOSS * tokens * entries + kept), float(backward + kept))
