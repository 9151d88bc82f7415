"""What a repository of an uploaded file holds: the examples, copies of validation files, and a card that says which
split is what to whoever loads it."""

from __future__ import annotations

from collections.abc import Sequence

README = "README.md"
TRAIN = "train.jsonl"
VALIDATION_SPLIT = "validation"


def repo_of(namespace: str, file_id: str) -> str:
    """The dataset that a file is stored in: one for each file, by its name."""
    return f"{namespace}/tunegate-{file_id.lower()}"


def copy_of(validation_id: str) -> str:
    """The name of a validation file's copy beside the training file."""
    return f"{validation_id}.jsonl"


def card(file_id: str, team: str, validation_ids: Sequence[str]) -> bytes:
    """The README: the training file alone is the default configuration, and each validation file makes one of its own,
    by its id."""
    lines = ["---", "configs:", "- config_name: default", "  data_files:", "  - split: train", f"    path: {TRAIN}"]
    for one in validation_ids:
        lines += [
            f"- config_name: {one}",
            "  data_files:",
            "  - split: train",
            f"    path: {TRAIN}",
            f"  - split: {VALIDATION_SPLIT}",
            f"    path: {copy_of(one)}",
        ]
    told = f"The training file `{file_id}` of team {team}, stored by Tunegate. Deleting the file there deletes this."
    return "\n".join([*lines, "---", "", told, ""]).encode()
