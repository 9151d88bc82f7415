"""A stand-in for the `uv` command inside a job: mapped script URLs are local files, the environment is a prepared one.

Runs as a file of its own (`python -I uv_shim.py CONFIG ARGS…`): it imports the standard library only. CONFIG is JSON:
`uv` the real command, `url_map` a list of [URL or prefix, file or folder], `python_env` a virtual environment or null.
Whatever it does not understand goes to the real uv unchanged; what it changes it says on standard error.
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

# uv 0.9 `uv run --help`: the options that take a value in the next argument
VALUE_OPTIONS = frozenset(
    re.findall(
        r"\S+",
        """--extra --no-extra --group --no-group --only-group --no-editable-package --env-file -w --with --with-editable
    --with-requirements --package --python-platform --index --default-index -i --index-url --extra-index-url
    -f --find-links --index-strategy --keyring-provider -P --upgrade-package --upgrade-group --resolution --prerelease
    --prerelease-package --fork-strategy --exclude-newer --exclude-newer-package --no-sources-package
    --reinstall-package --link-mode -C --config-setting --config-settings-package --no-build-isolation-package
    --no-build-package --no-binary-package --cache-dir --refresh-package -p --python --color --allow-insecure-host
    --directory --project --config-file""",
    )
)


def plan(
    arguments: list[str], uv: str, url_map: list[tuple[str, str]], python_env: str | None
) -> tuple[list[str], list[str]]:
    """The command to execute in place of `uv ARGUMENTS`, and the notes to log."""
    at = _target(arguments)
    if at is None:
        return [uv, *arguments], []
    notes: list[str] = []
    target, is_module = arguments[at], arguments[at - 1] in ("-m", "--module")
    if (local := _local_file(target, url_map)) and not is_module:
        notes.append(f"sandbox: {target} is read from {local.name}")
        target = str(local)
    rest = arguments[at + 1 :]
    if python_env and (prepared := _prepared(target, is_module, Path(python_env) / "bin")):
        return [*prepared, *rest], [*notes, "sandbox: uv run uses the prepared environment"]
    return [uv, *arguments[:at], target, *rest], notes


def _target(arguments: list[str]) -> int | None:
    """Where the script, URL or command of `uv run` stands; None where this is no `uv run`."""
    at, seen_run = 0, False
    while at < len(arguments):
        argument = arguments[at]
        if argument == "--" and seen_run:
            return at + 1 if at + 1 < len(arguments) else None
        if argument in VALUE_OPTIONS:
            at += 2
        elif argument.startswith("-") and argument != "-":
            at += 1
        elif not seen_run:
            if argument != "run":
                return None
            seen_run, at = True, at + 1
        else:
            return at
    return None


def _local_file(target: str, url_map: list[tuple[str, str]]) -> Path | None:
    """The file that a URL is mapped to: the URL itself, or the longest prefix mapped to a folder."""
    if "://" not in target:
        return None
    for url, path in sorted(url_map, key=lambda pair: -len(pair[0])):
        root = Path(path).resolve()
        if target == url and root.is_file():
            return root
        if target.startswith(url) and root.is_dir():
            file = (root / target.removeprefix(url).partition("?")[0].lstrip("/")).resolve()
            if file.is_relative_to(root) and file.is_file():
                return file
    return None


def _prepared(target: str, is_module: bool, bin_folder: Path) -> list[str] | None:
    """The command that runs a script, module or command in the prepared environment; None where it has it not."""
    python = str(bin_folder / "python")
    if is_module:
        return [python, "-m", target]
    if target == "-" or (target.endswith((".py", ".pyw")) and "://" not in target) or Path(target).is_file():
        return [python, target]
    command = bin_folder / target
    return [str(command)] if "/" not in target and os.access(command, os.X_OK) else None


def main() -> None:
    """Execute what was planned, in this process's place."""
    config = json.loads(Path(sys.argv[1]).read_text())
    command, notes = plan(sys.argv[2:], config["uv"], config["url_map"], config["python_env"])
    for note in notes:
        sys.stderr.write(note + "\n")
    sys.stderr.flush()
    os.execv(command[0], command)  # noqa: S606 - running the command is its purpose


if __name__ == "__main__":
    main()
