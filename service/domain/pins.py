"""What preflight resolved, put into the command: the job runs what was checked, not what a name points to later."""

from __future__ import annotations

from collections.abc import Mapping

from service.domain.script import Script
from service.domain.trl.command import takes_parts
from service.domain.trl_sft import TrlSft


def pinned(recipe: TrlSft, pins: Mapping[str, str]) -> TrlSft:
    """The recipe with commits in place of names. A dataset is pinned where its revision or a part of it was asked for:
    TRL's script has no flag for one, and only the way around that takes it (`trl.command.LOADED_SO`). Everywhere else
    the commit is compared once more before the job is made."""
    args = {name: value for name, value in recipe.args.items() if name != "model_revision"}
    changes: dict[str, object] = {"args": args, "model_revision": pins.get("model_revision") or _asked(recipe)}
    if recipe.dataset_revision is not None or takes_parts(recipe):
        changes["dataset_revision"] = pins.get("dataset_revision") or recipe.dataset_revision
    return recipe.model_copy(update=changes)


def uv_options(recipe: TrlSft | Script, pins: Mapping[str, str]) -> list[str]:
    """uv's options for packages as they were on the day of the check, unless the script names a day of its own."""
    day = pins.get("exclude_newer")
    if day is None or (isinstance(recipe, Script) and "exclude-newer" in (recipe.source or "")):
        return []
    return ["--exclude-newer", day]


def _asked(recipe: TrlSft) -> str | None:
    given = recipe.model_revision or recipe.args.get("model_revision")
    return None if given is None else str(given)
