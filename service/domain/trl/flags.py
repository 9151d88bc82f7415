"""The flags of `trl sft` in each described release: which there are, what each takes, and the nearest known name.

The descriptions in `releases/` are made by `make describe-trl` from an installed TRL; nothing here is typed by hand.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from math import isfinite
from typing import Any

from packaging.version import Version

from service.domain.errors import Invalid, UnknownField
from service.domain.trl.names import nearest
from service.domain.trl.ranges import range_refusal
from service.domain.trl.remedy import NAMES, remedy_for

MAX_TEXT = 8192
# The largest whole number that any flag takes: `data_seed`, 64 bits.
MOST = 2**64


@dataclass(frozen=True)
class Flag:
    """One flag. `parses` is the kind that its command line takes (None: none can be written there), `takes` all kinds
    that can be given, `null` whether it may be unset."""

    name: str
    part: str
    parses: str | None
    takes: tuple[str, ...]
    null: bool
    choices: tuple[str | int, ...]
    default: Any
    help: str

    def refusal(self, value: object) -> str | None:
        """Why the real parser would not take this JSON value, as a rule; None where it would."""
        if value is None:
            return None if self.null else f"takes {self._expected}; leave it out for its default, {self.default!r}"
        kind = kind_of(value)
        if not self.is_kind(value):
            given = repr(value) if kind == "float" or (kind == "int" and is_finite(value)) else NAMES.get(kind, kind)
            return f"takes {self._expected}, not {given}"
        if not is_finite(value):
            return "takes finite numbers of at most 64 bits" if kind in ("list", "object") else "takes a finite number"
        if isinstance(value, list):
            return self._list_refusal(value)
        if isinstance(value, dict) and len(json.dumps(value)) > MAX_TEXT:
            return f"takes an object of at most {MAX_TEXT} characters as JSON"
        if isinstance(value, str) and (not value or len(value) > MAX_TEXT or "\0" in value):
            return f"takes a text of 1 to {MAX_TEXT} characters, without NUL"
        return self._choice_refusal(value)

    def is_kind(self, value: object) -> bool:
        """Whether it takes values of this one's kind; a whole number is a number as well."""
        kind = kind_of(value)
        return kind in self.takes or (kind == "int" and "float" in self.takes)

    def remedy(self, value: object) -> str:
        """What to send in place of a value that is refused."""
        return remedy_for(value, self.takes, self.choices, self.default, self.null)

    @property
    def _expected(self) -> str:
        if self.choices:
            return "one of " + ", ".join(map(str, self.choices))
        if not self.takes:
            return "nothing that a job's command can carry"
        return " or ".join(NAMES[kind] for kind in self.takes) + (" or null" if self.null else "")

    def _list_refusal(self, values: list[object]) -> str | None:
        if not values or any(kind_of(item) not in ("text", "int", "float") for item in values):
            return "takes a list of texts or numbers, at least one"
        for item in values:
            text = str(item)
            if not text or len(text) > MAX_TEXT or "\0" in text or text.startswith("-"):
                return f"takes a list of texts of 1 to {MAX_TEXT} characters, none of which begins with a dash"
            if (wrong := self._choice_refusal(item)) is not None:
                return wrong
        return None

    def _choice_refusal(self, value: object) -> str | None:
        if self.choices and not isinstance(value, dict) and value not in self.choices:
            close = get_close_matches(str(value), map(str, self.choices), n=1)
            return f"takes {self._expected}" + (f" (did you mean '{close[0]}'?)" if close else "")
        return None

    def as_json_schema(self) -> dict[str, Any]:
        """JSON Schema (draft 2020-12) of the values that `refusal` lets pass."""
        plain = {"bool": "boolean", "int": "integer", "float": "number", "text": "string", "object": "object"}
        types: list[str] = [plain.get(kind, "array") for kind in self.takes]
        schema: dict[str, Any] = {"title": self.name, "description": self.help, "default": self.default}
        schema["type"] = [*types, "null"] if self.null else types[0] if len(types) == 1 else types
        if "list" in self.takes:
            items: dict[str, Any] = {"type": ["string", "number"]}
            schema |= {"items": items | ({"enum": list(self.choices)} if self.choices else {}), "minItems": 1}
        elif self.choices:
            schema["enum"] = [*self.choices, *([None] if self.null else [])]
        return schema


@dataclass(frozen=True)
class Release:
    """One described release; `versions` names the packages and the Python that it was read from. `custom_code`: whether
    it loads a model whose class comes with its repository. `whole_logits`: whether its SFT trainer makes the logits of
    all tokens at once, in place of tile by tile. `resumes`: whether its script goes on from a checkpoint."""

    version: str
    versions: Mapping[str, str]
    flags: Mapping[str, Flag]
    custom_code: bool
    whole_logits: bool
    resumes: bool

    def refusal(self, name: str, value: object, field: str) -> Invalid | None:
        """UnknownField for a flag that the release has not, Invalid for a value that it would not take, or that leads
        nowhere; None for what is right. `field` is where the caller gave it."""
        if (flag := self.flags.get(name)) is None:
            return UnknownField(
                f"TRL {self.version} has no flag '{name}'",
                field=field,
                remedy=nearest(name, self.flags),
                trl=self.version,
            )
        if flag.is_kind(value) and (beyond := range_refusal(name, value, flag.default)) is not None:
            return Invalid(f"'{name}' {beyond[0]}", field=field, remedy=beyond[1], trl=self.version)
        if (wrong := flag.refusal(value)) is not None:
            return Invalid(f"'{name}' {wrong}", field=field, remedy=flag.remedy(value), trl=self.version)
        return None


def kind_of(value: object) -> str:
    """The kind of a JSON value, in the words of the descriptions."""
    match value:
        case bool():
            return "bool"
        case int():
            return "int"
        case float():
            return "float"
        case str():
            return "text"
        case list():
            return "list"
        case dict():
            return "object"
    return "null" if value is None else type(value).__name__


def is_finite(value: object) -> bool:
    """Whether every number in a JSON value is one that a job can be given: finite, and no longer than 64 bits."""
    match value:
        case float():
            return isfinite(value)
        case int():
            return -MOST < value < MOST
        case list():
            return all(map(is_finite, value))
        case dict():
            return all(map(is_finite, value.values()))
    return True


@cache
def described() -> tuple[str, ...]:
    """The versions of TRL that are described, newest first."""
    names = (file.name for file in files("service.domain.trl").joinpath("releases").iterdir())
    return tuple(sorted((name[:-5] for name in names if name.endswith(".json")), key=Version, reverse=True))


@cache
def release(version: str) -> Release:
    """A described release; raises Invalid, with the list of those that are, for any other."""
    if version not in described():
        raise Invalid(
            f"TRL {version} is not described here",
            field="recipe.trl_version",
            remedy=f"Described are {', '.join(described())}; `make describe-trl VERSION={version}` adds one.",
        )
    text = files("service.domain.trl").joinpath("releases", f"{version}.json").read_text("utf-8")
    document = json.loads(text)
    flags = {
        name: Flag(
            name=name,
            part=one["part"],
            parses=one["parses"],
            takes=tuple(one["takes"]),
            null=one["null"],
            choices=tuple(one.get("choices", ())),
            default=one["default"],
            help=one["help"],
        )
        for name, one in document.pop("flags").items()
    }
    traits = [document.pop(name) for name in ("custom_code", "whole_logits", "resumes")]
    return Release(version, document, flags, *traits)
