"""Disk that a training needs: what it downloads, the checkpoints it keeps, and the model it publishes.

A checkpoint holds the trained weights and, unless `save_only_model`, the optimizer's state. With TRL's defaults
(weights as float32, a checkpoint each 500 steps, none deleted) SmolLM3-3B writes 12.3 + 24.6 GB for each: seen in
real runs.
"""

from __future__ import annotations

from math import ceil

from service.domain.estimate.architecture import Architecture
from service.domain.estimate.memory import Memory
from service.domain.estimate.training import Training

GB = 1_000_000_000
# PyTorch with CUDA and the rest of what TRL's script installs, unpacked and in uv's cache.
ENVIRONMENT = 9 * GB
# datasets keeps a copy of the files, the Arrow table, and one after tokenising.
DATASET_COPIES = 3


def checkpoints(training: Training, steps: float | None) -> int:
    """How many checkpoints lie on the disk at once. A new one is written before the oldest goes. Unknown steps count
    as the few that a training has as a rule."""
    if training.saves == "no":
        return 0
    if training.saves == "epoch":
        made = ceil(training.epochs)
    elif training.save_steps < 1:
        made = ceil(1 / training.save_steps) if training.save_steps > 0 else 1
    else:
        made = ceil((steps or 3 * training.save_steps) / training.save_steps)
    return made if training.save_limit is None else min(made, training.save_limit + 1)


def disk_bytes(
    architecture: Architecture, training: Training, memory: Memory, steps: float | None, dataset_bytes: int | None
) -> int:
    """Bytes on the disk at the end of the training."""
    stored = architecture.stored_bytes or 2 * architecture.parameters
    saved = memory.trained_bytes
    checkpoint = saved + (memory.terms_bytes["optimizer"] if training.saves_optimizer else 0)
    files = stored + saved + checkpoints(training, steps) * checkpoint
    return ceil(ENVIRONMENT + files + DATASET_COPIES * (dataset_bytes or 0))
