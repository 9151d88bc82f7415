"""A model that was trained and not published, and is still in the run's bucket: who brings it to the Hub, and how."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from service.domain.checkpoints import MOUNT_PATH, Checkpoint
from service.domain.run import Reason
from service.domain.script import Script
from service.domain.shipped import shipped

KIND = "rescue"
FLAVOR = "cpu-basic"
# An upload's time: packages and a slow start, and what slow uplinks of jobs were seen to do.
START_SECONDS, BYTES_PER_SECOND = 600, 10_000_000
ROUNDED_TO_SECONDS, MOST_SECONDS = 300, 86_400
UNPUBLISHED = frozenset({Reason.PUSH_FAILED, Reason.OUTPUT_MISSING})


def folder_in(saved: Mapping[str, Any] | None, cause: Reason, progress: Mapping[str, Any] | None = None) -> str | None:
    """Where in a run's bucket its model is: the trained one, whatever the job failed of after its training, or, where
    publishing failed, the newest checkpoint. None where there is nothing to bring."""
    if saved is None:
        return None
    # weights alone say little: with hub_strategy `every_save` those of each checkpoint are copied beside it
    # (transformers 5.23, Trainer._push_from_checkpoint)
    is_trained = cause in UNPUBLISHED or (progress or {}).get("train_seconds") is not None
    if not is_trained:
        return None
    if saved["has_model"]:
        return MOUNT_PATH
    newest = saved["newest"]
    return None if newest is None else Checkpoint(newest["step"], newest["size_bytes"]).path


def timeout_seconds(size_bytes: int) -> int:
    """A timeout for bringing so much, in whole five minutes."""
    wanted = START_SECONDS + size_bytes / BYTES_PER_SECOND
    return min(MOST_SECONDS, math.ceil(wanted / ROUNDED_TO_SECONDS) * ROUNDED_TO_SECONDS)


def script(folder: str, output_repo: str, run_id: str, *, private: bool) -> Script:
    """The recipe that brings a folder to a repository."""
    args = ["--folder", folder, "--output-repo", output_repo, "--message", f"Model of {run_id}, rescued"]
    return Script(kind="script", source=shipped(KIND), args=[*args, *(["--private"] if private else [])])
