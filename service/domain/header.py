"""The PEP 723 header of a script, read as the specification's regular expression reads it, and held to its rules.

packaging.python.org/en/latest/specifications/inline-script-metadata. The expression itself takes seconds for a text of
nothing but opening lines, so the lines are gone through once instead (a test compares the two). What uv would refuse
once the job costs money, or would silently overlook, is refused here: a block that is never closed, a misspelt key, a
requirement that is none.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from service.domain.errors import BrokenRule, SecretInText
from service.domain.requirement import read_requirement
from service.domain.text import is_carried

OPENING = re.compile(r"# /// ([a-zA-Z0-9-]+)")
CLOSING = "# ///"
LIKE_OPENING = re.compile(r"(?i)#[ \t]*///[ \t]*script[ \t]*")
KEYS = ("requires-python", "dependencies", "tool")

# What uv can run a script with: it downloads a CPython where the image has none that fits (docs.astral.sh/uv).
MINORS = range(8, 16)
PATCHES = range(40)
PYTHON = re.compile(r"3\.\d{1,2}", re.ASCII)
PASSWORD = re.compile(r"://[^\s/:@'\"$]+:[^\s/@'\"$]+@")

# `hf jobs uv run` takes more from this table (huggingface_hub 2.4.0, cli/_uv_script_header.py): flavor, timeout and
# namespace say what is spent and who pays; secrets, volumes and the network what the job may reach; labels and name
# whose the money is. These the caller alone says. Which Python and which allowed image a script wants is harmless.
TABLE = "hf-jobs"
HARMLESS = ("image", "python")


@dataclass(frozen=True)
class Header:
    """What a script says of itself. `hf_jobs`: the keys of [tool.hf-jobs] that are honoured, `ignored` all others."""

    name: str | None = None
    requires_python: str | None = None
    dependencies: tuple[str, ...] = ()
    hf_jobs: Mapping[str, str] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()


def parse(source: str) -> Header | None:
    """A script's header; None where it has none. Raises BrokenRule for one that is wrong."""
    content = _content(source.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n"))
    if content is None:
        return None
    try:
        metadata = tomllib.loads(content)
    except tomllib.TOMLDecodeError as error:
        raise _wrong(f"the script's header is not TOML: {error}") from None
    except RecursionError:
        raise _wrong("the script's header is not TOML that can be read: it is nested too deep") from None
    if not is_carried(metadata):
        raise _wrong("a text in the script's header holds NUL")
    _refuse_misspelt(metadata)
    _refuse_local(metadata)
    table = _table(metadata)
    return Header(
        name=_text(metadata, "name"),
        requires_python=_requires_python(metadata),
        dependencies=_dependencies(metadata),
        hf_jobs={key: _text(table, key) or "" for key in HARMLESS if key in table},
        ignored=tuple(sorted(key for key in table if key not in HARMLESS)),
    )


def python_refusal(header: Header, python: str | None) -> str | None:
    """Why a script with this header does not run on a Python such as `3.12` (None: whichever fits), or None."""
    if _minors(header, python):
        return None
    released = f"no Python from 3.{MINORS[0]} to 3.{MINORS[-1]}"
    if python is not None and int(python.partition(".")[2]) not in MINORS:
        return f"Python {python} is {released}, and those a job can have"
    if python is None:
        return f"requires-python is '{header.requires_python}', which {released} meets"
    return f"Python {python} does not meet the header's requires-python, '{header.requires_python}'"


def newest_minor(header: Header, python: str | None) -> int | None:
    """The minor version of the newest Python that such a script may get; None where it may get any."""
    minors = _minors(header, python)
    return None if minors[-1:] == [MINORS[-1]] or not minors else minors[-1]


def _minors(header: Header, python: str | None) -> list[int]:
    wanted = SpecifierSet(header.requires_python or "")
    asked = MINORS if python is None else [minor for minor in MINORS if python == f"3.{minor}"]
    return [minor for minor in asked if any(wanted.contains(f"3.{minor}.{patch}") for patch in PATCHES)]


def _wrong(rule: str) -> BrokenRule:
    return BrokenRule(rule, "Correct the header ('# /// script'): packaging.python.org, inline script metadata.")


def _content(source: str) -> str | None:
    """The text of the one `script` block, without its comment signs. Blocks of other types are none of ours."""
    lines = source.split("\n")
    found: list[str] = []
    at = 0
    while at < len(lines):
        opening = OPENING.fullmatch(lines[at])
        run = _comment_run(lines, at + 1) if opening else at + 1
        # the last closing line of a run of comments counts, so that a block may hold another one as text
        closings = [index for index in range(at + 2, run) if lines[index] == CLOSING] if opening else []
        if opening and closings and opening[1] == "script":
            found.append("\n".join(line[2:] for line in lines[at + 1 : closings[-1]]))
        elif LIKE_OPENING.fullmatch(lines[at]):  # also in capitals: uv takes that for a block of another type
            raise _wrong(
                f"line {at + 1} looks like a header that is not one: it begins with '# /// script', ends with "
                "'# ///', and every line between begins with '#' and a blank"
            )
        at = closings[-1] + 1 if closings else run
    if len(found) > 1:
        raise _wrong("the script has more than one header ('# /// script'); PEP 723 allows one")
    return found[0] if found else None


def _comment_run(lines: Sequence[str], start: int) -> int:
    """The first line from `start` on that cannot belong to a block."""
    while start < len(lines) and (lines[start] == "#" or lines[start].startswith("# ")):
        start += 1
    return start


def _refuse_misspelt(metadata: Mapping[str, Any]) -> None:
    """`dependancies` would be overlooked, and the job fail minutes later."""
    for key in metadata:
        if key not in KEYS and (close := get_close_matches(key.replace("_", "-"), KEYS, n=1, cutoff=0.75)):
            raise _wrong(f"the script's header has a key '{key}'; did you mean '{close[0]}'?")


def _refuse_local(metadata: Mapping[str, Any]) -> None:
    """[tool.uv] may name places of the caller's own machine, and passwords of package indexes."""
    uv = metadata["tool"].get("uv") if isinstance(metadata.get("tool"), dict) else None
    for name, source in (uv.get("sources") or {}).items() if isinstance(uv, dict) else ():
        if isinstance(source, dict) and source.keys() & {"path", "workspace"}:
            raise BrokenRule(
                f"[tool.uv.sources] in the script's header takes '{name}' from a path, which a job has not",
                "Take it from git or a package index.",
            )
    if isinstance(uv, dict) and PASSWORD.search(str(uv)):
        raise BrokenRule(
            "an address in the script's header holds a user's name and password, which everybody could read",
            "Take them out: uv reads UV_INDEX_NAME_USERNAME and UV_INDEX_NAME_PASSWORD, which go into 'secrets'.",
            kind=SecretInText,
        )


def _table(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    tool = metadata.get("tool", {})
    table = tool.get(TABLE, {}) if isinstance(tool, dict) else None
    if not isinstance(table, dict):
        raise _wrong(f"[tool] and [tool.{TABLE}] in the script's header are tables")
    return table


def _text(table: Mapping[str, Any], key: str) -> str | None:
    value = table.get(key)
    if value is not None and (not isinstance(value, str) or not value):
        raise _wrong(f"'{key}' in the script's header is a text")
    if key == "python" and value is not None and not PYTHON.fullmatch(value):
        raise _wrong(f"'python' in the header's [tool.{TABLE}] is a version such as '3.12'")
    return value


def _requires_python(metadata: Mapping[str, Any]) -> str | None:
    value = _text(metadata, "requires-python")
    try:
        SpecifierSet(value or "")
    except InvalidSpecifier:
        raise _wrong(f"requires-python, '{value}', is no version specifier such as '>=3.11'") from None
    return value


def _dependencies(metadata: Mapping[str, Any]) -> tuple[str, ...]:
    value = metadata.get("dependencies", [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _wrong("'dependencies' in the script's header is a list of texts")
    for item in value:
        try:
            read_requirement(item)
        except BrokenRule as error:
            raise BrokenRule(f"in the script's header, {error.rule}", error.remedy, kind=error.kind) from None
    return tuple(value)
