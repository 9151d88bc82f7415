"""From a run to the job that trains it: image, command, environment, secrets, labels. Pure, and the same every time.

User text never reaches a shell as text: every argument is an argv item of its own, and the two `bash -c` programs
below are constants. A script travels gzipped in base64 in one environment variable, which the Linux kernel limits to
128 KiB (MAX_ARG_STRLEN).
"""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from service.domain.script import Script
from service.domain.trl_sft import Lora, TrlSft
from service.domain.volume import Volume

IMAGE = "ghcr.io/astral-sh/uv:python3.12-bookworm"
TRL_SCRIPT_URL = "https://raw.githubusercontent.com/huggingface/trl/v{version}/trl/scripts/sft.py"

LABEL_RUN = "tunegate-run"
LABEL_ATTEMPT = "tunegate-attempt"
LABEL_SUBMISSION = "tunegate-submission"
LABEL_INSTALLATION = "tunegate-installation"
LABEL_TEAM = "tunegate-team"
LABEL_PREFIX = "tunegate-"

# $1 counts uv's own options, which follow it; then come the script's arguments.
RUN_SCRIPT = (
    'set -eu; dir=$(mktemp -d); printf %s "$TUNEGATE_SCRIPT" | base64 -d | gunzip > "$dir/script.py"; '
    'unset TUNEGATE_SCRIPT; n=$1; shift; exec uv run "${@:1:n}" "$dir/script.py" "${@:n+1}"'
)

# Trackio makes a static Space at each push, and the run ends where that fails. Only a config file can switch it off:
# on the command line `False` is read as a Space's name (transformers 5.23, TrackioCallback.on_push_begin).
RUN_WITHOUT_STATIC_SPACE = (
    'set -eu; file=$(mktemp -d)/config.yaml; echo "trackio_static_space_id: false" > "$file"; '
    'exec "$@" --config "$file"'
)


# The script's header names trackio, and of the other reporters none.
NOT_IN_TRL_HEADER = frozenset({"wandb", "tensorboard"})


@dataclass(frozen=True)
class JobSpec:
    """What is sent to create a job. `timeout_seconds` is always given: HF's silent default is 30 minutes."""

    image: str
    command: tuple[str, ...]
    flavor: str
    timeout_seconds: int
    environment: Mapping[str, str]
    secrets: Mapping[str, str]
    labels: Mapping[str, str]
    volumes: tuple[Volume, ...] = ()
    resource_group: str | None = None


def command(recipe: TrlSft | Script, output_repo: str | None) -> tuple[str, ...]:
    """The job's argv."""
    if isinstance(recipe, Script):
        return _script_command(recipe)
    assert output_repo is not None, "trl_sft always publishes"
    argv = _trl_command(recipe, output_repo)
    if recipe.report_to == "trackio":
        return ("bash", "-c", RUN_WITHOUT_STATIC_SPACE, "tunegate", *argv)
    return argv


def environment(
    recipe: TrlSft | Script, env: Mapping[str, str], run_id: str, output_repo: str | None
) -> dict[str, str]:
    """The job's environment: the caller's, then what the service promises to every script."""
    own = {"TUNEGATE_RUN_ID": run_id, "PYTHONUNBUFFERED": "1"}
    if output_repo is not None:
        own["TUNEGATE_OUTPUT_REPO"] = output_repo
    if isinstance(recipe, Script):
        assert recipe.source is not None, "a script is fetched before its run is admitted"
        # mtime=0: the same script is the same text, whenever it is packed.
        own["TUNEGATE_SCRIPT"] = base64.b64encode(gzip.compress(recipe.source.encode(), mtime=0)).decode()
    return {**env, **own}


def labels(
    run_id: str, attempt: int, submission: str, installation: str, team: str, own: Mapping[str, str]
) -> dict[str, str]:
    """The labels by which a job is found again, beside the caller's own."""
    return {
        **own,
        "name": f"{run_id}-{attempt}",
        LABEL_RUN: run_id,
        LABEL_ATTEMPT: str(attempt),
        LABEL_SUBMISSION: submission,
        LABEL_INSTALLATION: installation,
        LABEL_TEAM: team,
    }


def _trl_command(recipe: TrlSft, output_repo: str) -> tuple[str, ...]:
    # The script's own header pins nothing, so a tagged URL alone would run the newest TRL under yesterday's script.
    version = recipe.trl_version
    argv = ["uv", "run", "--with", f"trl=={version}"]
    if recipe.report_to in NOT_IN_TRL_HEADER:
        argv += ["--with", recipe.report_to]
    argv += [TRL_SCRIPT_URL.format(version=version)]
    argv += ["--model_name_or_path", recipe.model_name_or_path, "--dataset_name", recipe.dataset_name]
    if recipe.dataset_config is not None:
        argv += _flag("dataset_config", recipe.dataset_config)
    for name, value in recipe.args.items():
        argv += _flag(name, value)
    argv += ["--report_to", recipe.report_to]
    if recipe.lora is not None:
        argv += _lora_flags(recipe.lora)
    argv += ["--output_dir", output_repo.partition("/")[2], "--push_to_hub", "--hub_model_id", output_repo]
    return tuple(argv)


def _script_command(recipe: Script) -> tuple[str, ...]:
    options = [item for dependency in recipe.dependencies for item in ("--with", dependency)]
    if recipe.python is not None:
        options += ["--python", recipe.python]
    return ("bash", "-c", RUN_SCRIPT, "tunegate", str(len(options)), *options, *recipe.args)


def _lora_flags(lora: Lora) -> list[str]:
    argv = ["--use_peft"]
    for name, value in (("r", lora.r), ("alpha", lora.alpha), ("dropout", lora.dropout)):
        argv += _flag(f"lora_{name}", value)
    return argv + _flag("lora_target_modules", lora.target_modules)


def _flag(name: str, value: object) -> list[str]:
    """One flag as argv items: true is the bare flag, null is left out, a list is several items, an object is JSON."""
    match value:
        case None:
            return []
        case True:
            return [f"--{name}"]
        case list():
            return [f"--{name}", *map(_text, value)]
    text = _text(value)
    # argparse reads a value that begins with a dash as a flag, unless it is a number or joined with "=".
    if isinstance(value, str) and text.startswith("-"):
        return [f"--{name}={text}"]
    return [f"--{name}", text]


def _text(value: object) -> str:
    if isinstance(value, float):
        # 5e-05 is how Python prints what people write as 5e-5.
        return re.sub(r"e([+-])0+(\d)", r"e\1\2", repr(value))
    return value if isinstance(value, str) else json.dumps(value) if isinstance(value, dict) else str(value)
