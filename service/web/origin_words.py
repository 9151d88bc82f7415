"""What pages call schedules, triggers and sweeps, and where each of them is shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PATH = "/ui/automation"
# What an id begins with, and what the API calls those.
PARTS = {"sch": "schedules", "trg": "triggers", "swp": "sweeps"}


def part_of(origin_id: str) -> str:
    """What the API calls its kind."""
    return PARTS[origin_id.partition("_")[0]]


def path_of(origin_id: str) -> str:
    """The page of a sweep; the line of a schedule or a trigger."""
    return f"{PATH}/sweeps/{origin_id}" if part_of(origin_id) == "sweeps" else f"{PATH}#{origin_id}"


def trains(template: Mapping[str, Any]) -> str:
    """What each run of a template trains, and on what."""
    model, dataset = (template["recipe"].get(name) for name in ("model_name_or_path", "dataset_name"))
    what = "a script" if model is None else f"{model} on {dataset or 'a dataset of its arguments'}"
    return f"{what}, on {template['flavor']}"
