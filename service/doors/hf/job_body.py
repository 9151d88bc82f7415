"""What the client sends to start a job (huggingface_hub 2.4, `_create_job_spec`), with the names that it has there.

All fields of the Hub's OpenAPI are read: what has no place in a run is refused by its name, and never overlooked.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator

from service.domain.body import Body
from service.domain.errors import BrokenRule

OUTSIDE = "jobs that were started through Tunegate are not reached from outside"
# What a run has no place for, and what to do about it.
NO_PLACE = {
    "spaceId": ("a run takes no Space as its image", "Name a container image that the installation allows."),
    "expose": (OUTSIDE, "Leave out --expose and --expose-public."),
    "ssh": (OUTSIDE, "Leave out --ssh."),
    "network": ("each run is one job by itself", "Leave out --network-group and --network-alias."),
}


class JobVolume(Body):
    """One mount."""

    type: str
    source: str
    mountPath: str
    revision: str | None = None
    readOnly: bool | None = None
    path: str | None = None


class JobBody(Body):
    """The body of POST /api/jobs/{namespace}."""

    dockerImage: str | None = None
    spaceId: str | None = None
    command: list[str] = Field(min_length=1, max_length=256)
    arguments: list[str] = Field(default_factory=list, max_length=256)
    environment: dict[str, str] = Field(default_factory=dict)
    secrets: dict[str, str] = Field(default_factory=dict)
    flavor: str
    arch: str | None = None
    timeoutSeconds: int | None = None
    attempts: int | None = Field(None, ge=1)
    labels: dict[str, str] = Field(default_factory=dict)
    volumes: list[JobVolume] = Field(default_factory=list)
    expose: dict[str, Any] | None = None
    ssh: dict[str, Any] | None = None
    network: dict[str, Any] | None = None
    resourceGroupId: str | None = None

    @field_validator(*NO_PLACE, mode="before")
    @classmethod
    def _has_a_place(cls, value: Any, info: Any) -> Any:
        if value is not None:
            raise BrokenRule(*NO_PLACE[info.field_name])
        return value

    @field_validator("arch")
    @classmethod
    def _runs_there(cls, arch: str | None) -> str | None:
        if arch not in (None, "amd64"):
            raise BrokenRule(f"runs are on amd64, and not on {arch}", "Leave 'arch' out.")
        return arch
