"""From a `trl_sft` recipe to the argv that trains it, on one GPU or on all of a flavor's.

TRL's script runs out of the pinned package: `accelerate launch` needs it there, a dataset at a revision or a part of a
split can be had only there, and there it cannot differ from the package. Where none of that is wanted, it runs by its
address, as its documentation does.

User text never reaches a shell as text: every argument is an argv item of its own; the programs below are constants.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from service.domain.part import is_part
from service.domain.trl.flags import Release, described, kind_of, release
from service.domain.trl.packages import packages_of
from service.domain.trl_sft import TrlSft

TRL_SCRIPT_URL = "https://raw.githubusercontent.com/huggingface/trl/v{version}/trl/scripts/sft.py"
MODULE = "trl.scripts.sft"
MAIN = "main"

# What the command line cannot say travels in a config file: JSON, which is YAML too.
RUN_WITH_CONFIG = 'set -eu; file=$(mktemp -d)/config.yaml; printf %s "$1" > "$file"; shift; exec "$@" --config "$file"'
# Trackio makes a static Space at each push, and the run ends where that fails. Only a config file can switch it off:
# on the command line `False` is read as a Space's name (transformers 5.23, TrackioCallback.on_push_begin).
NO_STATIC_SPACE = {"trackio_static_space_id": False}

# The script has no flag for a dataset's revision, and takes a split by its name out of what it has loaded (TRL 1.16,
# `load_dataset(name, name=config, streaming=…)[split]`). So the function that it calls is given a revision, and what it
# returns finds `train[:1000]` and `train+test` as `datasets` does. The script itself runs unmodified.
LOADED_SO = (
    "import functools, runpy, sys, datasets; "
    "load = functools.partial(datasets.load_dataset, revision=sys.argv.pop(1)); "
    "parts = lambda whole, again: type('Parts', (), "
    "{'__getitem__': lambda _, part: whole[part] if part in whole else again(split=part)})(); "
    "datasets.load_dataset = lambda *given, **named: "
    "parts(load(*given, **named), functools.partial(load, *given, **named)); "
    f"runpy.run_module('{MODULE}', run_name='__main__', alter_sys=True)"
)

# What the script's own header asks for (sft.py, PEP 723), where it does not run by its address.
IN_TRL_HEADER = ("peft", "trackio", "kernels")


def trl_command(
    recipe: TrlSft,
    output_repo: str | None,
    gpus: int,
    options: Sequence[str] = (),
    folder: str | None = None,
    more: Mapping[str, Any] = MappingProxyType({}),
) -> tuple[str, ...]:
    """The job's argv on a flavor with so many GPUs; the model is published to `output_repo`, if there is one. `options`
    are uv's own. `folder`: where it writes, one of the job's own if left out; `more` are flags of the service's."""
    known = release(recipe.trl_version) if recipe.trl_version in described() else None
    flags, config = [], dict(NO_STATIC_SPACE) if recipe.report_to == "trackio" else {}
    for name, value in {**all_flags(recipe), **more}.items():
        if _is_written(known, name, value):
            flags += flag(name, value)
        elif known is None or value != known.flags[name].default:
            config[name] = value
    argv = (*_launch(recipe, known, gpus, options), *flags, *_publish(output_repo, folder))
    if not config:
        return argv
    return ("bash", "-c", RUN_WITH_CONFIG, "tunegate", json.dumps(config), *argv)


def as_typed(recipe: TrlSft, output_repo: str | None) -> str | None:
    """What a person types for the same training on one machine with that TRL; None where a flag's value can be said in
    a config file only, or a dataset is wanted that the command cannot name."""
    known = release(recipe.trl_version) if recipe.trl_version in described() else None
    flags = all_flags(recipe)
    sayable = {name: value for name, value in flags.items() if _is_written(known, name, value)}
    is_other = recipe.dataset_revision is not None or takes_parts(recipe)
    if is_other or any(known is None or flags[name] != known.flags[name].default for name in flags.keys() - sayable):
        return None
    own = () if output_repo is None else ("--output_dir", output_repo.partition("/")[2], "--push_to_hub", "True")
    named = () if output_repo is None else ("--hub_model_id", output_repo)
    return shlex.join(["trl", "sft", *(part for one in sayable.items() for part in flag(*one)), *own, *named])


def all_flags(recipe: TrlSft) -> dict[str, Any]:
    """Every flag of TRL that the recipe sets: its fields, then `args`. None unsets a flag that has another default."""
    return {"model_name_or_path": recipe.model_name_or_path, "dataset_name": recipe.dataset_name, **recipe.flags()}


def flag(name: str, value: object) -> list[str]:
    """One flag as argv items. A boolean is always spelt out: flags that default to null know no bare form (`--bf16`
    alone ends in "expected one argument")."""
    if isinstance(value, list):
        return [f"--{name}", *map(_text, value)]
    text = _text(value)
    # argparse reads a value that begins with a dash as a flag (-1e-5 too), unless it is joined with "=".
    if text.startswith("-"):
        return [f"--{name}={text}"]
    return [f"--{name}", text]


def _is_written(known: Release | None, name: str, value: object) -> bool:
    """Whether a value can be written on the command line; what cannot travels in the config file."""
    kind = kind_of(value)
    if known is None or (one := known.flags.get(name)) is None:
        return kind not in ("null", "object")
    if kind == "list":
        return one.takes == ("list",)
    return kind == one.parses or (kind == "int" and one.parses == "float")


def _launch(recipe: TrlSft, known: Release | None, gpus: int, options: Sequence[str]) -> list[str]:
    """Up to and with the script, its arguments left out."""
    argv = ["uv", "run", *options, *_with(f"trl=={recipe.trl_version}")]
    if known is not None:
        # a good half of the flags are transformers': another release may have others
        argv += _with(f"transformers=={known.versions['transformers']}")
    for package in packages_of(all_flags(recipe)):
        argv += _with(package)
    is_loaded_so = recipe.dataset_revision is not None or takes_parts(recipe)
    if gpus == 1 and not is_loaded_so:
        # The script's own header pins nothing, so a tagged URL alone would run the newest TRL under yesterday's script.
        return [*argv, TRL_SCRIPT_URL.format(version=recipe.trl_version)]
    argv += ["--no-project", *(item for package in IN_TRL_HEADER for item in _with(package))]
    if gpus > 1:
        argv += ["accelerate", "launch", "--multi_gpu", "--num_processes", str(gpus), "--num_machines", "1"]
        argv += ["--mixed_precision", "no", "--dynamo_backend", "no"]  # SFTConfig sets the precision itself
    if is_loaded_so:
        python = [*(["--no_python"] if gpus > 1 else []), "python", "-c", LOADED_SO]
        return [*argv, *python, recipe.dataset_revision or MAIN]
    return [*argv, "--module", MODULE]


def takes_parts(recipe: TrlSft) -> bool:
    """Whether rows are asked for that are not a split as it is."""
    flags = all_flags(recipe)
    return any(is_part(str(flags.get(name) or "")) for name in ("dataset_train_split", "dataset_test_split"))


def _publish(output_repo: str | None, folder: str | None) -> list[str]:
    if output_repo is None:
        return ["--output_dir", folder or "pilot"]
    written = folder or output_repo.partition("/")[2]
    return ["--output_dir", written, "--push_to_hub", "True", "--hub_model_id", output_repo]


def _with(package: str) -> list[str]:
    return ["--with", package]


def _text(value: object) -> str:
    if isinstance(value, float):
        # 5e-05 is how Python prints what people write as 5e-5.
        return re.sub(r"e([+-])0+(\d)", r"e\1\2", repr(value))
    return value if isinstance(value, str) else str(value)
