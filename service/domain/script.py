"""A script of the caller's own: its text, or an address that the service fetches it from before anything is spent; or
a command of the image, which is run as it is."""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, ValidationInfo, field_validator, model_validator

from service.domain import header
from service.domain.argument import Argument
from service.domain.body import Body
from service.domain.errors import BrokenRule
from service.domain.form import Form
from service.domain.header import Header
from service.domain.program import check_program
from service.domain.requirement import check_together, read_requirement
from service.domain.trl_sft import STORED, TrlSft

MAX_SCRIPT_BYTES = 64 * 1024
Sha256 = Annotated[
    str,
    Form(
        r"[0-9a-f]{64}",
        "a sha256 is 64 digits from 0 to f, in lower case",
        "Take it from `sha256sum`, or leave it out.",
    ),
]
PythonVersion = Annotated[
    str,
    Form(
        r"3\.[1-9]?\d",
        "a Python is named by its minor version, such as '3.12'",
        "Send it so, as a text.",
        near=((r"[^\d]*(3\.[1-9]?\d)(?:\.\d+)?", "Send '{}'."),),
    ),
]
# What people call a field of a script.
MEANT = {
    "script": "source",
    "code": "source",
    "text": "source",
    "content": "source",
    "file": "source",
    "path": "source",
    "requirements": "dependencies",
    "packages": "dependencies",
    "deps": "dependencies",
    "with": "dependencies",
    "script_args": "args",
    "arguments": "args",
    "argv": "args",
    "script_url": "url",
    "link": "url",
    "cmd": "command",
    "entrypoint": "command",
    "checksum": "sha256",
}


class Script(Body):
    """A uv script: PEP 723 header and all. `dependencies` and `python` add to what the header says. Or a `command`,
    which nobody reads before it runs."""

    kind: Literal["script"]
    source: str | None = Field(None, description="The script's text; this, `url` or `command`")
    url: Annotated[str, StringConstraints(max_length=2048)] | None = Field(
        None, description="Where the service fetches it, once: what it finds there is kept, shown, and what runs"
    )
    command: list[Argument] | None = Field(
        None,
        min_length=1,
        max_length=256,
        description="What the image runs in place of a script, word by word: no shell reads it. `args` follow it",
        examples=[["nvidia-smi"]],
    )
    sha256: Sha256 | None = Field(None, description="What the script's bytes must come to")
    args: list[Argument] = Field(default_factory=list, max_length=256)
    dependencies: list[Argument] = Field(default_factory=list, max_length=64)
    python: PythonVersion | None = Field(None, examples=["3.12"])

    @property
    def header(self) -> Header | None:
        """The script's own header, once its text is known."""
        return None if self.source is None else header.parse(self.source)

    @classmethod
    def suggestion(cls, name: str) -> str:
        """Also for what people call a field, and for fields of the other kind of recipe."""
        plain = name.lower().replace("-", "_")
        if plain in MEANT:
            return f"Did you mean '{MEANT[plain]}'?"
        if plain in TrlSft.model_fields:
            return f"'{plain}' belongs to recipes of kind 'trl_sft'; a script takes it by 'args', if at all."
        return super().suggestion(name)

    @field_validator("source")
    @classmethod
    def _travels_in_the_environment(cls, source: str | None, info: ValidationInfo) -> str | None:
        if source is None:
            return None
        if (size := len(source.encode())) > MAX_SCRIPT_BYTES:
            raise BrokenRule(
                f"the script has {size} bytes; at most 64 KiB ({MAX_SCRIPT_BYTES} bytes) can travel with a job",
                "Put what is large into a package or a volume.",
            )
        if info.context != STORED:  # a later release's rules are for later runs
            header.parse(source)  # raises BrokenRule for a header that is wrong
        return source

    @field_validator("dependencies")
    @classmethod
    def _requirements(cls, dependencies: list[str], info: ValidationInfo) -> list[str]:
        if info.context != STORED:
            check_together([read_requirement(text) for text in dependencies])
        return dependencies

    @model_validator(mode="after")
    def _fits_together(self, info: ValidationInfo) -> Script:
        if sum(one is not None for one in (self.source, self.url, self.command)) != 1:
            raise BrokenRule(
                "give one of 'source' (the script's text), 'url' (where it is) and 'command' (what the image runs)",
                "Give one of them.",
            )
        if self.command is not None:
            return self._alone()
        if self.source is not None and self.sha256 not in (None, found := digest(self.source)):
            raise BrokenRule(
                f"the script's sha256 is {found}, and not the {self.sha256} that was asked for",
                "Send the script that was meant, or its own sha256.",
                at="sha256",
            )
        if info.context == STORED:
            return self
        if self.python is not None and (refusal := header.python_refusal(Header(), self.python)) is not None:
            raise BrokenRule(refusal, "Take a released one, such as '3.12', or leave it out.", at="python")
        if self.source is None:
            return self
        own = self.header or Header()
        python = self.python or own.hf_jobs.get("python")
        if (refusal := header.python_refusal(own, python)) is not None:
            raise BrokenRule(refusal, "Change requires-python in the header, or 'python'.", at="python")
        check_together([read_requirement(text) for text in (*own.dependencies, *self.dependencies)])
        try:
            check_program(self.source, header.newest_minor(own, python))
        except BrokenRule as error:
            raise BrokenRule(error.rule, error.remedy, at="source") from None
        return self

    def _alone(self) -> Script:
        """A command has nothing of a script's. Raises BrokenRule."""
        for name, given in (("sha256", self.sha256), ("dependencies", self.dependencies), ("python", self.python)):
            if given:
                raise BrokenRule(
                    f"'{name}' is of a script, and this is a command of the image",
                    "Leave it out, or write it into the command (uv run --with …).",
                    at=name,
                )
        return self


def digest(source: str) -> str:
    """The sha256 of a script's bytes, in hex."""
    return hashlib.sha256(source.encode()).hexdigest()
