"""The options of `hf jobs run` and `hf jobs uv run` (huggingface_hub 2.4, cli/jobs.py), read by the same library and
in the same way: tests/cli/test_hf_command.py holds them to the installed one."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from service.domain.not_mapped import NotMapped

TYPES = {"models": "model", "datasets": "dataset", "spaces": "space", "buckets": "bucket"}
# As the real one does: what it does not know behind the script belongs to the script.
SETTINGS = {"ignore_unknown_options": True, "help_option_names": ["--help"]}


def _options() -> list[click.Parameter]:
    return [
        click.Option(["-e", "--env"], multiple=True),
        click.Option(["-s", "--secrets"], multiple=True),
        click.Option(["--name"]),
        click.Option(["-l", "--label"], multiple=True),
        click.Option(["-v", "--volume"], multiple=True),
        click.Option(["--env-file"]),
        click.Option(["--secrets-file"]),
        click.Option(["--flavor"]),
        click.Option(["--timeout"]),
        click.Option(["--attempts"], type=click.IntRange(min=1)),
        click.Option(["-d", "--detach"], is_flag=True),
        click.Option(["--dry-run"], is_flag=True),
        click.Option(["--expose"], multiple=True),
        click.Option(["--expose-public"], multiple=True),
        click.Option(["--ssh"], is_flag=True),
        click.Option(["--network-group"]),
        click.Option(["--network-alias"], multiple=True),
        click.Option(["--resource-group-id"]),
        click.Option(["--namespace"]),
        click.Option(["--token"]),
        click.Option(["--format"]),
        click.Option(["--json"], is_flag=True),
        click.Option(["-q", "--quiet"], is_flag=True),
    ]


RUN = click.Command(
    "hf jobs run",
    context_settings=SETTINGS,
    params=[click.Argument(["image"]), click.Argument(["command"], nargs=-1, required=True), *_options()],
)
UV_RUN = click.Command(
    "hf jobs uv run",
    context_settings=SETTINGS,
    params=[
        click.Argument(["script"]),
        click.Argument(["script_args"], nargs=-1),
        *_options(),
        click.Option(["--image"]),
        click.Option(["--with"], multiple=True),
        click.Option(["-p", "--python"]),
    ],
)
# `uv run` itself, as the command of `hf jobs run`: of its many options those that a script's run has.
UV = click.Command(
    "uv run",
    context_settings={"allow_interspersed_args": False},
    params=[
        click.Argument(["script"]),
        click.Argument(["script_args"], nargs=-1, type=click.UNPROCESSED),
        click.Option(["--with"], multiple=True),
        click.Option(["-p", "--python"]),
        click.Option(["-q", "--quiet"], is_flag=True),
    ],
)


def read(command: click.Command, words: Sequence[str]) -> dict[str, Any]:
    """The options and arguments of a command. Raises NotMapped for what the command itself would not take."""
    try:
        with command.make_context(command.name, list(words)) as context:
            said = dict(context.params)
    except click.exceptions.Exit:
        raise NotMapped(f"{command.name} --help asks for help", "Leave it out.") from None
    except click.ClickException as error:
        raise NotMapped(f"{command.name}: {error.format_message()}", "Correct the command.") from None
    first = str(said[str(command.params[0].name)])
    if first.startswith("-") and first != "-":  # where the script or the image should be
        name = first.partition("=")[0]
        known = [option for one in command.params for option in one.opts if option.startswith("--")]
        near = difflib.get_close_matches(name, known, n=1)
        remedy = f"Is it {near[0]}?" if near else "Leave it out; a script's own options go behind the script."
        raise NotMapped(f"`{command.name}` has no option {name}", remedy)
    return said


def variables(pairs: Sequence[str], file: str | None, environ: Mapping[str, str], what: str) -> dict[str, str]:
    """NAME=VALUE, or NAME with its value from the environment. Raises NotMapped where it has none."""
    lines: list[str] = []
    if file == "-":
        raise NotMapped(f"{what}-file - reads standard input", "Name a file.")
    if file is not None:
        try:
            lines = Path(file).read_text().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise NotMapped(f"{file} cannot be read: {error}", "Name a file of NAME=VALUE lines.") from None
    found: dict[str, str] = {}
    for pair in [*(line.strip().removeprefix("export ") for line in lines), *pairs]:
        if not pair or pair.startswith("#"):
            continue
        name, equals, value = pair.partition("=")
        name = name.strip()
        if equals:
            found[name] = value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"" else value
        elif name in environ:
            found[name] = environ[name]
        elif name == "HF_TOKEN":
            found[name] = ""  # left out anyway
        else:
            raise NotMapped(f"{what} {name}: {name} is not set in your environment", f"export {name}=… first.")
    return found


def volume(spec: str) -> dict[str, Any]:
    """`hf://[TYPE/]SOURCE[@REVISION][/PATH]:/MOUNT[:ro|:rw]` as a volume of a run. Raises NotMapped."""
    if not spec.startswith("hf://"):
        raise NotMapped(
            f"--volume {spec} mounts a folder of this machine",
            "Upload it (`hf upload`, or `hf buckets sync`), and mount that: -v hf://datasets/OWNER/NAME:/data.",
        )
    body, read_only = spec.removeprefix("hf://"), None
    for suffix, value in ((":ro", True), (":rw", False)):
        if body.endswith(suffix):
            body, read_only = body.removesuffix(suffix), value
    source, colon, mount = body.rpartition(":/")
    if not colon or not source:
        raise NotMapped(f"--volume {spec} has no mount path", "Write it as hf://datasets/OWNER/NAME:/data.")
    parts = source.split("/")
    kind = TYPES[parts.pop(0)] if parts[0] in TYPES else "model"
    name, at, revision = "/".join(parts[:2]).partition("@")
    found: dict[str, Any] = {"type": kind, "source": name, "mount_path": f"/{mount}"}
    if at:
        found["revision"] = revision
    if read_only is not None:
        found["read_only"] = read_only
    if parts[2:]:
        found["path"] = "/".join(parts[2:])
    return found
