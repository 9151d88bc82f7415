"""Files that flags name: in a job there is nothing of the caller's but what its volumes mount."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping
from typing import Any

from service.domain.hub_name import PART

# Flags that take a path, where it is not an object written as JSON; and the flag that takes a path or a model's id.
PATHS = ("resume_from_checkpoint", "deepspeed", "fsdp_config", "accelerator_config")
TEMPLATE = "chat_template_path"
HUB_ID = re.compile(rf"{PART}(/{PART})?")
TEMPLATE_FILES = (".jinja", ".j2")
WHOLE = {
    "resume_from_checkpoint": "a checkpoint's folder",
    "deepspeed": "deepspeed's settings",
    "fsdp_config": "FSDP's settings",
    "accelerator_config": "accelerate's settings",
}


def missing_file(flags: Mapping[str, Any], mounts: Iterable[str]) -> tuple[str, str, str] | None:
    """The flag that names a file which no volume mounts, the rule, and what to do; None where all can be there."""
    places = tuple(mounts)
    for name in PATHS:
        value = flags.get(name)
        if isinstance(value, str) and not value.startswith("{") and not _is_below(value, places):
            other = "" if name == "resume_from_checkpoint" else " or send them as an object,"
            return (
                name,
                f"'{name}' names {WHOLE[name]} at '{value[:100]}', and nothing is mounted there in the job",
                f"Mount a model, dataset or bucket with 'volumes' and give a path below its mount_path,{other} "
                "or leave it out.",
            )
    value = flags.get(TEMPLATE)
    if isinstance(value, str) and not _is_below(value, places) and not _may_be_a_model(value):
        return (
            TEMPLATE,
            "the chat template is neither a model's id nor a file that is mounted in the job",
            "Give the id of a model that has one, such as 'HuggingFaceTB/SmolLM3-3B', or mount the file by 'volumes'.",
        )
    return None


def _may_be_a_model(value: str) -> bool:
    return HUB_ID.fullmatch(value) is not None and not value.endswith(TEMPLATE_FILES) and len(value) <= 96


def _is_below(path: str, mounts: tuple[str, ...]) -> bool:
    real = posixpath.normpath(path)
    return any(real == mount or real.startswith(mount.rstrip("/") + "/") for mount in mounts)
