"""A script of the caller's own: its text, or an address that the service fetches it from before anything is spent."""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal

from packaging.requirements import InvalidRequirement, Requirement
from pydantic import Field, StringConstraints, ValidationInfo, field_validator, model_validator

from service.domain import header
from service.domain.argument import Argument
from service.domain.body import Body
from service.domain.header import Header
from service.domain.trl_sft import STORED

MAX_SCRIPT_BYTES = 64 * 1024


class Script(Body):
    """A uv script: PEP 723 header and all. `dependencies` and `python` add to what the header says."""

    kind: Literal["script"]
    source: Annotated[str, StringConstraints(min_length=1)] | None = Field(
        None, description="The script's text; this or `url`"
    )
    url: Annotated[str, StringConstraints(min_length=1, max_length=2048)] | None = Field(
        None, description="Where the service fetches it, once: what it finds there is kept, shown, and what runs"
    )
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = Field(
        None, description="What the script's bytes must come to"
    )
    args: list[Argument] = Field(default_factory=list, max_length=256)
    dependencies: list[Argument] = Field(default_factory=list, max_length=64)
    python: Annotated[str, StringConstraints(pattern=r"^3\.\d{1,2}$")] | None = None

    @property
    def header(self) -> Header | None:
        """The script's own header, once its text is known."""
        return None if self.source is None else header.parse(self.source)

    @field_validator("source")
    @classmethod
    def _travels_in_the_environment(cls, source: str, info: ValidationInfo) -> str:
        if (size := len(source.encode())) > MAX_SCRIPT_BYTES:
            raise ValueError(
                f"the script has {size} bytes; at most 64 KiB ({MAX_SCRIPT_BYTES} bytes) can travel with a job"
            )
        if "\0" in source:
            raise ValueError("a script holds no NUL character")
        if info.context != STORED:  # a later release's rules are for later runs
            header.parse(source)  # raises ValueError for a header that is wrong
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

    @model_validator(mode="after")
    def _fits_together(self, info: ValidationInfo) -> Script:
        if (self.source is None) == (self.url is None):
            raise ValueError("give 'source' (the script's text) or 'url' (where it is), and not both")
        if self.source is None:
            return self
        if self.sha256 is not None and (found := digest(self.source)) != self.sha256:
            raise ValueError(f"the script's sha256 is {found}, and not the {self.sha256} that was asked for")
        own = None if info.context == STORED else self.header
        if own is not None and (refusal := header.python_refusal(own, self.python or own.hf_jobs.get("python"))):
            raise ValueError(refusal)
        return self


def digest(source: str) -> str:
    """The sha256 of a script's bytes, in hex."""
    return hashlib.sha256(source.encode()).hexdigest()
