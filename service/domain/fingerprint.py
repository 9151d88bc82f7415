"""What makes two runs the same: everything that goes into the model, and nothing that only says where or by whom.

The recipe, the commits of model and dataset, the script's text, the versions, the date of the dependencies, the
environment's plain variables, and how many GPUs share the work. Not the flavor, the budget, the labels or the place
that the model goes to.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from difflib import unified_diff
from typing import Any

from service.domain.volume import volume_pin

# Of a stored recipe: how it came about, not what it says.
NOT_INPUT = frozenset({"filled", "header", "url", "preset", "fit_batch"})
REVISIONS = frozenset({"model_revision", "dataset_revision"})


def fingerprint(
    recipe: Mapping[str, Any], pins: Mapping[str, str], env: Mapping[str, str], secret_names: list[str], gpus: int
) -> str:
    """64 hex digits (SHA-256 of canonical JSON)."""
    told = {
        "recipe": _to_the_commit({name: value for name, value in recipe.items() if name not in NOT_INPUT}, pins),
        "pins": dict(pins),
        "env": dict(env),
        "secrets": sorted(secret_names),
        "gpus": gpus,
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _to_the_commit(recipe: dict[str, Any], pins: Mapping[str, str]) -> dict[str, Any]:
    """Without the names of what a pin says to the commit: two names of one commit are the same input."""
    for name in REVISIONS & pins.keys():
        recipe[name] = None
        recipe["args"] = {flag: value for flag, value in recipe["args"].items() if flag != name}
    mounted = recipe.get("volumes") or []
    recipe["volumes"] = [{**one, "revision": None} if volume_pin(one["mount_path"]) in pins else one for one in mounted]
    return recipe


def dependency_date(checked_at: datetime) -> str:
    """The day up to whose beginning packages may have been published: one a day, so that equal requests stay equal."""
    return checked_at.replace(hour=0, minute=0, second=0, microsecond=0).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class Difference:
    """One field that is not the same in two runs; None where it is not there."""

    field: str
    a: Any
    b: Any

    @property
    def lines(self) -> list[str] | None:
        """Of two texts of which one has several lines, those that differ, as a unified diff; None for all else."""
        a, b = (one if isinstance(one, str) else "" for one in (self.a, self.b))
        if not any("\n" in text.rstrip("\n") for text in (a, b)):
            return None
        return list(unified_diff(a.splitlines(), b.splitlines(), "a", "b", lineterm="", n=1))


def differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[Difference]:
    """Every leaf that differs, by its path, in the order of names."""
    left, right = dict(_leaves(a, "")), dict(_leaves(b, ""))
    paths = sorted(left.keys() | right.keys())
    return [Difference(path, left.get(path), right.get(path)) for path in paths if left.get(path) != right.get(path)]


def _leaves(value: Mapping[str, Any], above: str) -> Iterator[tuple[str, Any]]:
    for name, inner in value.items():
        path = f"{above}.{name}" if above else str(name)
        if isinstance(inner, Mapping) and inner:
            yield from _leaves(inner, path)
        elif inner is not None and inner != {} and inner != []:
            yield path, inner
