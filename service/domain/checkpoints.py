"""Checkpoints: where a training keeps them, how often, and which of them is whole.

They go to a bucket of the run's own, which its jobs mount: no token, no history, and nobody else's files beside them.
A training that is tried again, paused or rescued goes on from the newest whole one.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from service.domain.trl.flags import described, release
from service.domain.trl_sft import TrlSft

Asked = Literal["auto", "on", "off"]
MOUNT_PATH = "/tunegate-checkpoints"
# Runs of over an hour keep them by default: what they lose otherwise is worth more than the storage.
AUTO_SECONDS = 3600
EVERY_MINUTES = 10.0
KEPT = 2

FOLDER = re.compile(r"checkpoint-(\d{1,12})/([^/]+)")
# transformers 5.23, Trainer._save_checkpoint: weights, optimizer, schedule, random state, and this one last
LAST_WRITTEN = "trainer_state.json"
OPTIMIZER = ("optimizer.pt", "optimizer.bin")
WEIGHTS = re.compile(r"(?:adapter_)?(?:pytorch_)?model(?:-\d+-of-\d+)?\.(?:safetensors|bin)")


@dataclass(frozen=True)
class Checkpoint:
    """A whole checkpoint: the optimizer step after which it was written, and its size."""

    step: int
    size_bytes: int

    @property
    def path(self) -> str:
        """Where a job finds it."""
        return f"{MOUNT_PATH}/checkpoint-{self.step}"


@dataclass(frozen=True)
class Stored:
    """What a bucket holds: its newest whole checkpoint, whether the trained model itself is there, bytes in all."""

    newest: Checkpoint | None
    has_model: bool
    size_bytes: int


def bucket_of(namespace: str, run_id: str) -> str:
    """The bucket of a run."""
    return f"{namespace}/tunegate-{run_id}"


def nothing_saved(bucket: str | None = None) -> dict[str, Any]:
    """What is known of a run's checkpoints before anybody has looked: `Run.saved`, and `checkpoints` on the wire."""
    unknown = dict.fromkeys(("newest", "why_not", "read_at", "deleted_at"))
    return {"bucket": bucket, **unknown, "size_bytes": 0, "has_model": False}


def refusal(recipe: TrlSft, asked: Asked) -> str | None:
    """Why this training cannot keep checkpoints that a later attempt goes on from; None where it can."""
    flags = recipe.flags()
    if asked == "off":
        return "its request says so"
    if recipe.trl_version not in described() or not release(recipe.trl_version).resumes:
        return f"the script of TRL {recipe.trl_version} cannot go on from one"
    if flags.get("save_strategy") == "no":
        return "save_strategy is 'no'"
    if flags.get("save_only_model"):
        return "save_only_model leaves out what is needed to go on"
    if flags.get("resume_from_checkpoint") is not None:
        return "resume_from_checkpoint is given"
    return None


def are_wanted(recipe: TrlSft, asked: Asked, timeout_seconds: int) -> bool:
    """Whether a job of so long keeps them."""
    return refusal(recipe, asked) is None and (asked == "on" or timeout_seconds > AUTO_SECONDS)


def flags_for(recipe: TrlSft, estimate: Mapping[str, Any] | None, resume: Checkpoint | None) -> dict[str, Any]:
    """The flags of TRL by which a training keeps checkpoints, and goes on from one. What the caller set stays; without,
    one is written about each ten minutes of the estimate, and the model is published at the end alone, as each save
    would publish it otherwise."""
    asked, made = recipe.flags(), dict[str, Any]()
    is_free = not asked.keys() & {"save_steps", "save_strategy", "load_best_model_at_end"}
    steps, minutes = (estimate or {}).get("steps"), (estimate or {}).get("training_minutes")
    if is_free and steps and minutes:
        made["save_steps"] = max(1, min(int(steps), round(steps * EVERY_MINUTES / minutes)))
        made |= {} if "hub_strategy" in asked else {"hub_strategy": "end"}
    if "save_total_limit" not in asked:
        made["save_total_limit"] = KEPT
    if resume is not None:
        made["resume_from_checkpoint"] = resume.path
    return made


def stored_in(files: Iterable[tuple[str, int]]) -> Stored:
    """What these files are, by path and bytes. A checkpoint is whole where its last file is there, and the weights and
    the optimizer's state before it."""
    folders: dict[int, dict[str, int]] = defaultdict(dict)
    has_model, total = False, 0
    for path, size in files:
        total += size
        if (found := FOLDER.fullmatch(path)) is not None:
            folders[int(found[1])][found[2]] = size
        elif WEIGHTS.fullmatch(path) and size > 0:
            has_model = True
    whole = [step for step, inside in folders.items() if _is_whole(inside)]
    newest = Checkpoint(max(whole), sum(folders[max(whole)].values())) if whole else None
    return Stored(newest, has_model, total)


def _is_whole(inside: Mapping[str, int]) -> bool:
    has_weights = any(WEIGHTS.fullmatch(name) and size > 0 for name, size in inside.items())
    has_optimizer = any(inside.get(name, 0) > 0 for name in OPTIMIZER)
    return has_weights and has_optimizer and inside.get(LAST_WRITTEN, 0) > 0
