"""One argument of a job's command, as Hugging Face and an operating system take it."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, StringConstraints

from service.domain.errors import BrokenRule


def _one_argument(value: str) -> str:
    # Hugging Face refuses empty items of a command, and no process can be given a NUL.
    if not value or "\0" in value:
        raise BrokenRule("an argument is at least one character, without NUL", "Send one, or leave it out.")
    return value


Argument = Annotated[str, StringConstraints(max_length=8192), AfterValidator(_one_argument)]
