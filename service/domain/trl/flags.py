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

MAX_TEXT = 8192
NAMES = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "text": "a text",
    "object": "an object",
    "list": "a list of texts or numbers",
}


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
        if kind not in self.takes and not (kind == "int" and "float" in self.takes):
            given = repr(value) if kind in ("int", "float") else NAMES.get(kind, kind)
            return f"takes {self._expected}, not {given}"
        if isinstance(value, float) and not isfinite(value):
            return "takes a finite number"
        if isinstance(value, list):
            return self._list_refusal(value)
        if isinstance(value, dict) and len(json.dumps(value)) > MAX_TEXT:
            return f"takes an object of at most {MAX_TEXT} characters as JSON"
        if isinstance(value, str) and (not value or len(value) > MAX_TEXT or "\0" in value):
            return f"takes a text of 1 to {MAX_TEXT} characters, without NUL"
        return self._choice_refusal(value)

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
    it loads a model whose class comes with its repository."""

    version: str
    versions: Mapping[str, str]
    flags: Mapping[str, Flag]
    custom_code: bool

    def check(self, name: str, value: object) -> None:
        """Raise UnknownField for a flag that the release has not, Invalid for a value that it would not take."""
        field = f"recipe.args.{name}"
        if (flag := self.flags.get(name)) is None:
            raise UnknownField(
                f"TRL {self.version} has no flag '{name}'", field=field, remedy=self._nearest(name), trl=self.version
            )
        if (refusal := flag.refusal(value)) is not None:
            raise Invalid(f"'{name}' {refusal}", field=field, remedy=flag.help or None, trl=self.version)

    def _nearest(self, name: str) -> str:
        plain = name.lstrip("-").replace("-", "_").lower()
        if plain.startswith("no_") and plain[3:] in self.flags:
            return f"Write '{plain[3:]}': false."
        # argparse takes any unique beginning for the whole flag, so that is the first thing a caller may have meant
        begun = [flag for flag in self.flags if flag.startswith(plain)] if plain else []
        close = begun[:1] or get_close_matches(plain, self.flags, n=1)
        return f"Did you mean '{close[0]}'?" if close else "GET /recipes/trl_sft/schema lists the flags."


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
    custom_code = document.pop("custom_code")
    return Release(version, document, flags, custom_code)
