"""What a job mounts: a model, dataset or Space of the Hub to read, or a bucket to read and write.

huggingface_hub 2.4.0 `Volume` and the Hub's OpenAPI (2026-08). Mount paths are held to rules of our own on top: a mount
over the system's folders, or within another mount, fails inside a job that costs money by then.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from service.domain.body import Body
from service.domain.errors import BrokenRule
from service.domain.form import Form
from service.domain.hub_name import HubId

MOST_VOLUMES = 20
MOUNT_PATH = re.compile(r"(/[A-Za-z0-9_][A-Za-z0-9._-]*)+")
# Neither they nor anything below: the system, and where uv, the script and the Hub's cache live while a job runs.
SYSTEM = re.compile(r"/(bin|boot|dev|etc|lib|lib32|lib64|libx32|proc|root|run|sbin|sys|tmp|usr|var)(/.*)?")
WHOLE = frozenset({"/home", "/opt", "/srv"})  # below them there is room

Revision = Annotated[
    str,
    Form(
        r"(?!.*(\.\.|//))[A-Za-z0-9][A-Za-z0-9._/-]{0,254}",
        "a revision is the name of a branch or a tag, or a commit",
        "Send it as the Hub shows it, such as 'main'.",
    ),
]


class Volume(Body):
    """One mount. Repositories are read-only; a bucket is writable unless `read_only`, as on Hugging Face."""

    type: Literal["model", "dataset", "space", "bucket"]
    source: HubId = Field(description="The repository or bucket, as owner/name", examples=["acme/checkpoints"])
    mount_path: Annotated[str, StringConstraints(max_length=255)] = Field(
        description="Where the job finds it: an absolute path", examples=["/data"]
    )
    revision: Revision | None = None
    read_only: bool | None = None
    path: Annotated[str, StringConstraints(max_length=1024)] | None = Field(None, description="Only this folder of it")

    @property
    def is_read_only(self) -> bool:
        """What Hugging Face makes of `read_only`."""
        return self.type != "bucket" or bool(self.read_only)

    @field_validator("mount_path")
    @classmethod
    def _free_place(cls, path: str) -> str:
        if not MOUNT_PATH.fullmatch(path):
            raise BrokenRule(
                "a mount path is absolute, such as /data: folders of letters, digits, '.', '_' and '-'",
                "Write it as /data, with no '/' at its end.",
            )
        if SYSTEM.fullmatch(path) or path in WHOLE:
            raise BrokenRule(f"'{path}' belongs to the system; mount below /data or /mnt, say", "Choose /data, say.")
        return path

    @field_validator("path")
    @classmethod
    def _within(cls, path: str | None) -> str | None:
        if path is not None and any(part in ("", ".", "..") for part in path.split("/")):
            raise BrokenRule("a path within a volume is relative, without '.' and '..'", "Write it as folder/below.")
        return path

    @model_validator(mode="after")
    def _fits_its_type(self) -> Volume:
        if self.type != "bucket" and self.read_only is False:
            raise BrokenRule(
                f"a {self.type} is always read-only; only buckets can be written",
                "Leave read_only out, or mount a bucket.",
                at="read_only",
            )
        if self.type == "bucket" and self.revision is not None:
            raise BrokenRule("a bucket has no revisions", "Leave it out.", at="revision")
        if self.type in ("bucket", "space") and "/" not in self.source:
            raise BrokenRule(f"a {self.type} is named as owner/name", "Add its owner.", at="source")
        return self


def volume_pin(mount_path: str) -> str:
    """The name under which the commit of a mounted repository is pinned."""
    return f"volume:{mount_path}"


def check_apart(volumes: Sequence[Volume]) -> None:
    """Raise BrokenRule where two mounts share a place or one lies within another."""
    places = sorted(volume.mount_path for volume in volumes)
    for first, second in itertools.pairwise(places):
        if first == second:
            raise BrokenRule(f"two volumes are mounted at {first}", "Give each a place of its own.")
    for outer in places:
        if inner := next((place for place in places if place.startswith(outer + "/")), None):
            raise BrokenRule(f"{inner} lies within {outer}, which is a mount itself", "Mount them side by side.")
