"""An image and its command as a recipe: what can be read of it becomes a script that is checked, or TRL's; the rest is
run by the image as it is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from service.domain.job import IMAGE
from service.domain.not_mapped import NotMapped
from service.domain.trl.typed import recipe_of, sft_release

# Where `python` is the one that is named, and nothing else is needed to run a text.
PYTHON_IMAGE = re.compile(r"python:(3\.\d+)(?:[.-][\w.-]+)?")
IN_A_URL = ("https://", "http://")


@dataclass
class Mapped:
    """A recipe, the image that it needs (None: the service's own), and where its model goes."""

    recipe: dict[str, Any]
    image: str | None = None
    output_repo: str | None = None
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class UvRun:
    """`uv run`, with those of its options that a script's run has."""

    packages: list[str]
    python: str | None
    words: list[str]


def mapped(image: str | None, words: Sequence[str]) -> Mapped:
    """What a job's command comes to."""
    own = None if image == IMAGE else image
    python = None if image is None else PYTHON_IMAGE.fullmatch(image)
    if words[0] in ("python", "python3") and words[1:2] == ["-c"] and len(words) > 2 and (python or own is None):
        recipe: dict[str, Any] = {"kind": "script", "source": words[2], "args": list(words[3:])}
        return Mapped(recipe | ({"python": python[1]} if python else {}))
    if (uv := _uv_run(words)) is not None:
        is_url = uv.words[0].startswith(IN_A_URL)
        if uv.words[:2] == ["trl", "sft"] or is_url:
            found = _trl(uv.packages, uv.words[1 if is_url else 2 :], uv.words[0] if is_url else None, own)
            if found is not None:
                return found
        if is_url:
            return Mapped(_script(uv), own)
    elif list(words[:2]) == ["trl", "sft"] and (found := _trl([], words[2:], None, own)) is not None:
        return found
    return Mapped({"kind": "script", "command": list(words)}, own)


def _script(uv: UvRun) -> dict[str, Any]:
    recipe: dict[str, Any] = {"kind": "script", "url": uv.words[0], "args": uv.words[1:], "dependencies": uv.packages}
    return recipe | ({} if uv.python is None else {"python": uv.python})


def _trl(packages: Sequence[str], flags: Sequence[str], url: str | None, image: str | None) -> Mapped | None:
    """TRL's SFT, checked before a job is paid; None where it is of a release that is not known here, has what no
    recipe has, or publishes nothing: then it runs as it was sent."""
    if (version := sft_release(packages, url)) is None:
        return None
    notes: list[str] = []
    try:
        recipe, repo = recipe_of(flags, version, notes)
    except NotMapped:
        return None
    if repo is None:
        return None
    return Mapped(recipe, image, repo, [*notes, f"It is TRL {version}'s SFT, and checked before a job is paid."])


def _uv_run(words: Sequence[str]) -> UvRun | None:
    """None for another command, and for one with options that no script's run has."""
    if list(words[:2]) != ["uv", "run"]:
        return None
    packages: list[str] = []
    python: str | None = None
    rest = list(words[2:])
    while rest and rest[0].startswith("-"):
        name, equals, value = rest.pop(0).partition("=")
        if name in ("-q", "--quiet", "--script", "-s") and not equals:
            continue
        if not equals and not rest:
            return None
        value = value if equals else rest.pop(0)
        if name == "--with":
            packages.append(value)
        elif name in ("-p", "--python"):
            python = value
        else:
            return None
    return UvRun(packages, python, rest) if rest else None
