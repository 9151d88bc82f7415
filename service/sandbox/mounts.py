"""Volumes of a job that starts: a real folder for each, and its place in the job's command, arguments and environment.

There is no container, so nothing can be mounted at `/checkpoints`: wherever that path stands, whole or as a beginning,
the folder's path is put. What a script holds within itself is not found. The log is turned the other way round, so
that it names the paths that the job was given.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from service.sandbox.hub import Hub
from service.sandbox.job_rules import JobSpec
from service.sandbox.volumes import Volume, mount_path, revision, subfolder
from service.sandbox.wire import Refusal

# What a path may begin after: what belongs to no path, then a quote as strings of shells, JSON and Python have it (JSON
# within JSON has backslashes before it); a short option (`-o/data`); a file's address.
BEFORE = re.compile(
    r"""(?: [^\w.~/\\)\]}*?+$"'`-] (?:[fFrRbBuU]{0,2} \\{0,7} ["'`])? | \s -[A-Za-z] | file:// ) \Z""", re.VERBOSE
)
BEFORE_LONGEST = 12
# What makes it another path: `/data2`, `/data-old`, `/data.bak`, `/data$N`, `/data*`.
AFTER = r"(?![\w~*?$%{@+-]|\.\w|\\ )"


@dataclass(frozen=True)
class Mount:
    """A volume: the path that the job was given, the folder that it is, and what that is, for the log."""

    path: str
    folder: Path
    told: str


class CannotMountError(Exception):
    """What was there when the job was created is not there any more."""


def mount(volumes: Sequence[Volume], job_folder: Path, hub: Hub) -> list[Mount]:
    """Make the volumes of a job, in its folder where they are copies; raises CannotMountError, OSError.

    A bucket is its own folder, so that what is written stays, however the job ends; a read-only one and repositories
    are copies that cannot be written. A folder that is not there is made, or is empty if read-only, as hf-mount has it
    (its pull request 208).
    """
    return [_mount(volume, job_folder / f"volumes/{number}", hub) for number, volume in enumerate(volumes)]


def with_folders(spec: JobSpec, mounts: Sequence[Mount]) -> JobSpec:
    """What a job runs, with folders in place of mount paths; secrets stay as they are."""
    return replace(
        spec,
        command=tuple(with_folder(text, mounts) for text in spec.command),
        arguments=tuple(with_folder(text, mounts) for text in spec.arguments),
        environment={name: with_folder(text, mounts) for name, text in spec.environment.items()},
    )


def with_folder(text: str, mounts: Sequence[Mount]) -> str:
    """A text with folders in place of mount paths, each where it is a whole path or the beginning of one."""
    before = "\n" + text  # the beginning of a text is a place like any other

    def stands_alone(match: re.Match[str]) -> bool:
        end = match.start() + 1
        return bool(BEFORE.search(before[max(0, end - BEFORE_LONGEST) : end]))

    return _put({mount.path: str(mount.folder) for mount in mounts}, text, stands_alone)


def without_folders(line: str, mounts: Sequence[Mount]) -> str:
    """A line of the log with mount paths in place of folders."""
    return _put({str(mount.folder): mount.path for mount in mounts}, line, lambda _: True)


def _put(paths: dict[str, str], text: str, is_meant: Callable[[re.Match[str]], bool]) -> str:
    if not paths:
        return text
    longest_first = "|".join(re.escape(path) for path in sorted(paths, key=len, reverse=True))
    return re.sub(f"({longest_first}){AFTER}", lambda match: paths[match[1]] if is_meant(match) else match[0], text)


def _mount(volume: Volume, copy: Path, hub: Hub) -> Mount:
    kind, source, inside = volume["type"], volume["source"], subfolder(volume)
    within = f"{inside}/" if inside else ""
    if kind == "bucket":
        if (bucket := hub.buckets.find(source)) is None:
            raise CannotMountError(f"there is no bucket {source} any more")
        if not volume.get("readOnly"):
            folder = bucket.folder / inside
            folder.mkdir(parents=True, exist_ok=True)
            return Mount(mount_path(volume), folder, f"a folder of bucket {source}")
        copy.mkdir(parents=True)
        for file in bucket.files():
            if file.path.startswith(within):
                place = _place(copy, file.path.removeprefix(within))
                with suppress(FileNotFoundError):  # another job has deleted it meanwhile
                    shutil.copy2(file.place, place)
        _forbid_writing(copy)
        return Mount(mount_path(volume), copy, f"a copy of bucket {source}, to read only")
    try:
        commit = hub.repo(kind, source).at(revision(volume))
    except Refusal as refusal:
        raise CannotMountError(f"{kind} {source}: {refusal.message}") from None
    copy.mkdir(parents=True)
    for path, blob in commit.tree.items():
        if path.startswith(within):
            _place(copy, path.removeprefix(within)).write_bytes(blob.data)
    _forbid_writing(copy)
    return Mount(mount_path(volume), copy, f"a copy of {kind} {source} at {commit.sha[:7]}, to read only")


def _place(folder: Path, path: str) -> Path:
    place = folder / path
    place.parent.mkdir(parents=True, exist_ok=True)
    return place


def _forbid_writing(folder: Path) -> None:
    for place in (folder, *folder.rglob("*")):
        place.chmod(0o555 if place.is_dir() else 0o444)
