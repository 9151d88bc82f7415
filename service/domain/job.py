"""From a run to the job that trains it: image, command, environment, secrets, labels. Pure, and the same every time.

User text never reaches a shell as text: every argument is an argv item of its own, and the `bash -c` program
below is a constant. A script travels gzipped in base64 in one environment variable, which the Linux kernel limits to
128 KiB (MAX_ARG_STRLEN).
"""

from __future__ import annotations

import base64
import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from service.domain.checkpoints import MOUNT_PATH
from service.domain.pins import pinned, uv_options
from service.domain.script import Script
from service.domain.trl.command import trl_command
from service.domain.trl_sft import TrlSft
from service.domain.volume import Volume

NO_PINS: Mapping[str, str] = {}
IMAGE = "ghcr.io/astral-sh/uv:python3.12-bookworm"

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


@dataclass(frozen=True)
class Saving:
    """Where a job keeps checkpoints: its bucket, and what that means for TRL's script."""

    bucket: str
    flags: Mapping[str, Any]

    @property
    def volume(self) -> Volume:
        """The bucket as the job mounts it."""
        return Volume(type="bucket", source=self.bucket, mount_path=MOUNT_PATH)


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


def command(
    recipe: TrlSft | Script,
    output_repo: str | None,
    gpus: int = 1,
    pins: Mapping[str, str] = NO_PINS,
    saving: Saving | None = None,
) -> tuple[str, ...]:
    """The job's argv on a flavor with so many GPUs; a script of the caller's own launches what it likes. `pins` are
    what preflight resolved; `saving`: the job keeps checkpoints."""
    options = uv_options(recipe, pins)
    if isinstance(recipe, Script):
        return _script_command(recipe, options)
    folder, more = (None, {}) if saving is None else (MOUNT_PATH, saving.flags)
    return trl_command(pinned(recipe, pins), output_repo, gpus, options, folder, more)


def environment(
    recipe: TrlSft | Script,
    env: Mapping[str, str],
    run_id: str,
    output_repo: str | None,
    saving: Saving | None = None,
) -> dict[str, str]:
    """The job's environment: the caller's, then what the service promises to every script."""
    own = {"TUNEGATE_RUN_ID": run_id, "PYTHONUNBUFFERED": "1"}
    if saving is not None:
        own["TUNEGATE_CHECKPOINTS"] = MOUNT_PATH
    if output_repo is not None:
        own["TUNEGATE_OUTPUT_REPO"] = output_repo
    if isinstance(recipe, Script) and recipe.command is None:
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


def _script_command(recipe: Script, options: list[str]) -> tuple[str, ...]:
    if recipe.command is not None:
        return (*recipe.command, *recipe.args)
    options = [*options, *(item for dependency in recipe.dependencies for item in ("--with", dependency))]
    if recipe.python is not None:
        options += ["--python", recipe.python]
    return ("bash", "-c", RUN_SCRIPT, "tunegate", str(len(options)), *options, *recipe.args)
