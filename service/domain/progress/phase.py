"""What a training job is doing, by the lines that TRL's script and the libraries under it print as they go."""

from __future__ import annotations

import re
from enum import StrEnum


class Phase(StrEnum):
    """In the order in which a job goes through them."""

    SETUP = "setup"  # packages, model
    DATA = "data"  # download, tokenise, pack
    TRAIN = "train"
    SAVE = "save"
    PUSH = "push"


ORDER = list(Phase)

# Each with where it is printed. A phase that has passed does not come back: checkpoints are saved amid the training.
SIGNS = (
    # datasets' builder and map; SFTTrainer._prepare_dataset (TRL 0.29, 1.16)
    (Phase.DATA, re.compile(r"Generating \w+ split|Tokenizing \w+ dataset|Packing \w+ dataset|Adding EOS to|Map[ :(]")),
    # Trainer.save_model and safetensors' writer, after Trainer's own summary
    (Phase.SAVE, re.compile(r"'train_runtime'|Training completed|Model saved to")),
    # huggingface_hub's uploads; sft.py's last line
    (
        Phase.PUSH,
        re.compile(
            r"Processing Files \(|New Data Upload|Upload \d+ LFS files|Pushing to|Uploading|Model pushed to the Hub"
        ),
    ),
)


def phase_after(known: Phase | None, text: str, *, is_training: bool) -> Phase | None:
    """The phase after a line; `is_training` where it has a step or a loss."""
    now = known or Phase.SETUP
    if is_training and ORDER.index(now) < ORDER.index(Phase.TRAIN):
        now = Phase.TRAIN
    for phase, pattern in SIGNS:
        # uploads of checkpoints run beside the training: only one that has ended is saved and published
        is_next = ORDER.index(phase) > ORDER.index(now) and not (phase is Phase.PUSH and now is Phase.TRAIN)
        if is_next and pattern.search(text):
            now = phase
    return now
