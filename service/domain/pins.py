"""What preflight resolved, put into the command: the job runs what was checked, not what a name points to later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from service.domain.script import Script
from service.domain.trl_sft import TrlSft
from service.domain.volume import Volume, volume_pin


def pinned(recipe: TrlSft, pins: Mapping[str, str]) -> TrlSft:
    """The recipe with commits in place of names; what was not found keeps its name. TRL's script has no flag for a
    dataset's revision: `trl.command.LOADED_SO` is the way around that."""
    args = {name: value for name, value in recipe.args.items() if name != "model_revision"}
    changes = {
        "args": args,
        "model_revision": pins.get("model_revision") or _asked(recipe),
        "dataset_revision": pins.get("dataset_revision") or recipe.dataset_revision,
    }
    return recipe.model_copy(update=changes)


def pinned_volumes(volumes: Sequence[Volume], pins: Mapping[str, str]) -> tuple[Volume, ...]:
    """The mounts with commits in place of names; buckets have none."""
    return tuple(
        one.model_copy(update={"revision": pins.get(volume_pin(one.mount_path)) or one.revision}) for one in volumes
    )


def uv_options(recipe: TrlSft | Script, pins: Mapping[str, str]) -> list[str]:
    """uv's options for packages as they were on the day of the check, unless the script names a day of its own."""
    day = pins.get("exclude_newer")
    if day is None or (isinstance(recipe, Script) and "exclude-newer" in (recipe.source or "")):
        return []
    return ["--exclude-newer", day]


def _asked(recipe: TrlSft) -> str | None:
    given = recipe.model_revision or recipe.args.get("model_revision")
    return None if given is None else str(given)
