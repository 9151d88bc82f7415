"""Checks of a JSON value's shape, as small functions that combine; their messages are those of the Hub's own checker.

A check takes a value and the path to it and yields one issue per broken rule. The Hub answers 400 with every issue
as `✖ message` and `→ at path` lines (zod's pretty form, as public reports of its errors show).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Issue = tuple[str, str]
Check = Callable[[Any, str], Iterator[Issue]]
MISSING = object()


def problems(check: Check, value: Any) -> str | None:
    """Every broken rule as the Hub's text, or None where the value has the right shape."""
    issues = [f"✖ {message}" + (f"\n  → at {path}" if path else "") for message, path in check(value, "")]
    return "\n".join(issues) or None


def text(pattern: str | None = None, least: int = 0, most: int | None = None) -> Check:
    """A string, of a length, matching a pattern as a whole."""

    def check(value: Any, path: str) -> Iterator[Issue]:
        if not isinstance(value, str):
            yield _unexpected("string", value), path
        elif len(value) < least:
            yield f"Too small: expected string to have >={least} characters", path
        elif most is not None and len(value) > most:
            yield f"Too big: expected string to have <={most} characters", path
        elif pattern and not re.fullmatch(pattern, value):
            yield f"Invalid string: must match pattern /^{pattern}$/", path

    return check


def integer(least: int, most: int) -> Check:
    """A whole number within bounds, both included; a boolean is none."""

    def check(value: Any, path: str) -> Iterator[Issue]:
        if isinstance(value, bool) or not isinstance(value, int | float):
            yield _unexpected("number", value), path
        elif not math.isfinite(value) or int(value) != value:
            yield "Invalid input: expected int, received number", path
        elif value < least:
            yield f"Too small: expected number to be >={least}", path
        elif value > most:
            yield f"Too big: expected number to be <={most}", path

    return check


def boolean() -> Check:
    """True or false."""

    def check(value: Any, path: str) -> Iterator[Issue]:
        if not isinstance(value, bool):
            yield _unexpected("boolean", value), path

    return check


def choice(options: tuple[str, ...]) -> Check:
    """One of some strings."""

    def check(value: Any, path: str) -> Iterator[Issue]:
        if value not in options:
            yield "Invalid option: expected one of " + "|".join(f'"{option}"' for option in options), path

    return check


def nullable(inner: Check) -> Check:
    """Null or what `inner` wants."""
    return lambda value, path: iter(()) if value is None else inner(value, path)


def array(item: Check, least: int = 0, most: int | None = None) -> Check:
    """An array of items, of a length."""

    def check(value: Any, path: str) -> Iterator[Issue]:
        if not isinstance(value, list):
            yield _unexpected("array", value), path
            return
        if len(value) < least:
            yield f"Too small: expected array to have >={least} items", path
        if most is not None and len(value) > most:
            yield f"Too big: expected array to have <={most} items", path
        for index, each in enumerate(value):
            yield from item(each, f"{path}[{index}]")

    return check


def mapping(key: Check, item: Check) -> Check:
    """An object with free keys: each key and each value is checked."""

    def check(value: Any, path: str) -> Iterator[Issue]:
        if not isinstance(value, dict):
            yield _unexpected("record", value), path
            return
        for name, each in value.items():
            for message, _ in key(name, path):
                yield f"Invalid key in record: {message}", _join(path, name)
            yield from item(each, _join(path, name))

    return check


def record(fields: Mapping[str, Check], required: tuple[str, ...] = ()) -> Check:
    """An object with known fields only; the required ones must be there."""

    def check(value: Any, path: str) -> Iterator[Issue]:
        if not isinstance(value, dict):
            yield _unexpected("object", value), path
            return
        for name, field in fields.items():
            if name in value:
                yield from field(value[name], _join(path, name))
            elif name in required:
                yield from field(MISSING, _join(path, name))
        if unknown := [name for name in value if name not in fields]:
            keys = ", ".join(f'"{name}"' for name in unknown)
            yield f"Unrecognized key{'s' if len(unknown) > 1 else ''}: {keys}", path

    return check


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _unexpected(expected: str, value: Any) -> str:
    return f"Invalid input: expected {expected}, received {_kind(value)}"


def _kind(value: Any) -> str:
    if value is MISSING or value is None:
        return "undefined" if value is MISSING else "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"
