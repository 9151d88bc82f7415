"""A script of the caller's own, as it is sent and as it is stored."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from packaging.requirements import InvalidRequirement, Requirement
from pydantic import Field, StringConstraints, field_validator

from service.domain.argument import Argument
from service.domain.body import Body

MAX_SCRIPT_BYTES = 64 * 1024


class Script(Body):
    """A uv script: PEP 723 header and all. `dependencies` and `python` add to what the header says."""

    not_available: ClassVar[dict[str, str]] = {"url": "scripts travel as text in 'source'"}

    kind: Literal["script"]
    source: Annotated[str, StringConstraints(min_length=1)]
    args: list[Argument] = Field(default_factory=list, max_length=256)
    dependencies: list[Argument] = Field(default_factory=list, max_length=64)
    python: Annotated[str, StringConstraints(pattern=r"^3\.\d{1,2}$")] | None = None

    @field_validator("source")
    @classmethod
    def _travels_in_the_environment(cls, source: str) -> str:
        if (size := len(source.encode())) > MAX_SCRIPT_BYTES:
            raise ValueError(
                f"the script has {size} bytes; at most 64 KiB ({MAX_SCRIPT_BYTES} bytes) can travel with a job"
            )
        if "\0" in source:
            raise ValueError("a script holds no NUL character")
        return source

    @field_validator("dependencies")
    @classmethod
    def _requirements(cls, dependencies: list[str]) -> list[str]:
        for text in dependencies:
            try:
                Requirement(text)
            except InvalidRequirement as error:
                raise ValueError(f"'{text}' is not a requirement (PEP 508): {error}") from error
        return dependencies
