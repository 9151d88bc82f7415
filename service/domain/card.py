"""The lineage card: a section of the model's README that says how the model was made."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from service.domain.volume import volume_pin

BEGIN = "<!-- tunegate: how this model was made -->"
END = "<!-- /tunegate -->"
# How the title of its commit begins.
TITLE = "Lineage of "


def lineage(run: Mapping[str, Any], reused_by: str | None = None) -> str:
    """The section for a run object that has succeeded: the model, its inputs to the commit, settings, cost, last
    metrics; and the last run that was answered with the same model, if there is one."""
    recipe, pins, output = run["recipe"], run["pins"], run.get("output") or {}
    rows = [
        ("Run", f"`{run['id']}`, attempt {run['attempt']}"),
        ("Model", _at(output.get("repo"), None, output.get("revision"))),
        ("Reused by", None if reused_by is None else f"`{reused_by}`, which trained nothing"),
        ("Base model", _at(recipe.get("model_name_or_path"), _asked(recipe), pins.get("model_revision"))),
        ("Dataset", _at(recipe.get("dataset_name"), recipe.get("dataset_revision"), pins.get("dataset_revision"))),
        *_mounted(run.get("volumes") or [], pins),
        ("Script", f"sha256 `{recipe['sha256']}`" if recipe.get("sha256") else None),
        ("TRL", recipe.get("trl_version")),
        ("Packages published before", pins.get("exclude_newer")),
        ("Fingerprint", f"`{run['fingerprint']}`" if run.get("fingerprint") else None),
        ("Hardware", run["flavor"]),
        ("Cost", _dollars(run["cost"].get("metered_usd"))),
        ("Last metrics", _metrics(run.get("progress"))),
    ]
    table = "\n".join(f"| {name} | {value} |" for name, value in rows if value)
    settings = {"args": recipe.get("args"), "lora": recipe.get("lora")}
    shown = json.dumps({name: value for name, value in settings.items() if value}, indent=2, sort_keys=True)
    return f"{BEGIN}\n## How this model was made\n\n| | |\n|---|---|\n{table}\n\n```json\n{shown}\n```\n{END}\n"


def with_lineage(readme: str, section: str) -> str:
    """A README with this section in place of its earlier one, or at its end."""
    before, begin, rest = readme.partition(BEGIN)
    if begin:
        _, _, after = rest.partition(END)
        return before + section + after.lstrip("\n")
    return f"{readme.rstrip()}\n\n{section}" if readme.strip() else section


def _mounted(volumes: Sequence[Mapping[str, Any]], pins: Mapping[str, str]) -> list[tuple[str, str | None]]:
    return [
        (
            f"Mounted at `{one['mount_path']}`",
            _at(one["source"], one.get("revision"), pins.get(volume_pin(one["mount_path"]))),
        )
        for one in volumes
    ]


def _asked(recipe: Mapping[str, Any]) -> object:
    return recipe.get("model_revision") or (recipe.get("args") or {}).get("model_revision")


def _at(name: object, asked: object, commit: str | None) -> str | None:
    """A repository with its commit, and the branch or tag that was asked for where it was one."""
    if not name:
        return None
    revision = commit or asked
    named = f", which was `{asked}`" if asked and asked != revision else ""
    return f"`{name}`" + (f" at `{revision}`{named}" if revision else "")


def _dollars(amount: float | None) -> str | None:
    return None if amount is None else f"${amount:.6f}".rstrip("0").rstrip(".")


def _metrics(progress: Mapping[str, Any] | None) -> str | None:
    known = {name: value for name, value in (progress or {}).items() if name in ("step", "loss") and value is not None}
    return ", ".join(f"{name} {value}" for name, value in known.items()) or None
