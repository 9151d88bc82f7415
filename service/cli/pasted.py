"""Words of a command that was pasted: what it is, and how it is refused where it cannot be a run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from service.domain.not_mapped import NotMapped

# What stands before `hf` where people copy commands from.
PROMPTS = ("$", "!", "%", ">", "sudo")
RUNNERS = (["uvx"], ["uv", "tool", "run"], ["pipx", "run"])
# What a shell would do with a text, and nobody does here.
SHELL = re.compile(r"(?<=\s)(\|\|?|&&?|[12]?>>?|<)(?=\s|$)|\||;(?=\s|$)|&&|2>&1")
EXPANDED = re.compile(r"\$\w+|\$\{[^}]*\}|\$\([^)]*\)|`[^`]*`")
ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=.*", re.S)


def command_in(words: Sequence[str]) -> list[str] | None:
    """The words of a command that begins with `hf`, whether it came as words or as one text with line breaks; None
    where it is something else. Raises NotMapped for a text whose quotes do not end."""
    found = list(words)
    if len(found) == 1 and re.search(r"\s", found[0]):
        text = re.sub(r"\\\r?\n", " ", found[0].strip()).lstrip("$!%> ")
        try:
            found = shlex.split(text, comments=True)
        except ValueError as error:
            raise NotMapped(f"the command cannot be read: {error}".lower(), "Copy the whole of it.") from None
    while found and (found[0] in PROMPTS or ASSIGNMENT.fullmatch(found[0])):
        del found[0]
    for runner in RUNNERS:
        if found[: len(runner)] == runner:
            del found[: len(runner)]
    if found[:2] == ["trl", "sft"]:
        found = ["hf", "jobs", "uv", "run", *found]  # which is what it would be there
    if found[:1] != ["hf"]:
        return None
    if len(words) == 1:
        _refuse_shell(re.sub(r"\\\r?\n", " ", words[0].strip()).lstrip("$!%> "))
    return found


def _refuse_shell(text: str) -> None:
    """A shell's words outside of quotes, and its variables outside of single ones. Raises NotMapped."""
    text = re.sub(r"'[^']*'", "''", text)
    bare = re.sub(r"(^|\s)#.*", "", re.sub(r'"[^"]*"', '""', text))
    if (sign := SHELL.search(bare)) is not None:
        raise NotMapped(
            f"`{sign[0].strip()}` is for a shell, and there is none here", "Give the one command, without it."
        )
    if (variable := EXPANDED.search(re.sub(r"(^|\s)#.*", "", text))) is not None:
        raise NotMapped(
            f"`{variable[0]}` is filled in by a shell, and there is none here",
            "Write the value, or give the command behind `--` without quotes around the whole.",
        )
