"""A body as it came over the wire, read as strictly as RFC 8259 lets one: UTF-8, one object, nothing said twice.

Python's reader takes the last of two equal names, NaN, and UTF-16. What a caller meant by any of them is a guess, and a
guess about a timeout costs money.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from math import isfinite
from typing import Any

from service.domain.errors import Invalid, MalformedBody
from service.domain.text import UNCARRIED

# No number of the contract has as many, and reading longer ones takes time that grows with the square.
MOST_DIGITS = 40
DEEPEST = 64
SEND = "Send one JSON object, as UTF-8."
# What stands where JSON expects something else, and what was probably meant.
MEANT = {
    "'": "Texts and names stand in double quotes.",
    "\N{LEFT DOUBLE QUOTATION MARK}": 'Texts and names stand in plain double quotes (").',
    "\N{RIGHT DOUBLE QUOTATION MARK}": 'Texts and names stand in plain double quotes (").',
    "/": "JSON has no comments.",
    "#": "JSON has no comments.",
    "T": "Write true, false and null in lower case.",
    "F": "Write true, false and null in lower case.",
    "N": "Write true, false and null in lower case.",
    "}": "Take out the comma before the closing bracket.",
    "]": "Take out the comma before the closing bracket.",
    "\n": "Within a text, a line break is written as \\n.",
}


TOO_DEEP = object()


class _Twice(dict[str, Any]):
    """An object in which a name is given more than once: `name`."""

    name = ""


class _NoNumber(str):
    """A number that no job can be given, as it was written."""


def read_json(body: bytes) -> dict[str, Any]:
    """The object that a body holds. Raises MalformedBody, with line and column, for what is not JSON, and Invalid, with
    the field, for what is and cannot be meant."""
    if not body.strip():
        raise MalformedBody("the body is empty", remedy=SEND)
    text, reader = _text(body), _Reader()
    try:
        value = reader.read(text)
    except json.JSONDecodeError as error:
        raise _malformed(error) from None
    except RecursionError:
        raise MalformedBody("the body is nested too deep to be read", remedy=SEND) from None
    if not isinstance(value, dict):
        kind = {list: "a list", str: "a text", type(None): "null", bool: "true or false"}.get(type(value), "a number")
        raise Invalid(f"the body is {kind}, and must be one object", remedy='Send one object: {"name": value, …}.')
    if reader.met_something or _may_hold_something(text):  # a look at each value takes time, and is for the few
        _refuse_faults(value)
    return value


def _may_hold_something(text: str) -> bool:
    """NUL and surrogates come as escapes only, and what is nested deep has many brackets."""
    return "\\u" in text or text.count("{") + text.count("[") > DEEPEST


def _refuse_faults(body: dict[str, Any]) -> None:
    for path, one in _within(body):
        if (found := _fault(one)) is not None:
            rule, remedy = found
            field = ".".join(filter(None, (path, one.name if isinstance(one, _Twice) else "")))[:200]
            raise Invalid(f"{field}: {rule}" if field else rule, field=field or None, remedy=remedy)


def _text(body: bytes) -> str:
    if body.startswith(b"\xef\xbb\xbf"):
        raise MalformedBody(
            "the body begins with a byte order mark", remedy="Save it as UTF-8 without one (in PowerShell: utf8NoBOM)."
        )
    if (encoding := json.detect_encoding(body)) != "utf-8":
        raise MalformedBody(f"the body is {encoding.upper()}, and must be UTF-8", remedy=SEND)
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise MalformedBody(f"the body is not UTF-8: see byte {error.start}", remedy=SEND) from None


def _malformed(error: json.JSONDecodeError) -> MalformedBody:
    what = error.msg[0].lower() + error.msg[1:].removesuffix(" at").removesuffix(" starting at")
    there = error.doc[error.pos : error.pos + 1]
    remedy = "Send one object per request." if error.msg == "Extra data" else MEANT.get(there, SEND)
    return MalformedBody(
        f"the body is not JSON: {what}, at line {error.lineno}, column {error.colno}",
        remedy=remedy,
        line=error.lineno,
        column=error.colno,
    )


class _Reader:
    """Python's reader, kept from guessing. `met_something`: there is a value that it would have guessed about."""

    def __init__(self) -> None:
        self.met_something = False

    def read(self, text: str) -> Any:
        """Raises JSONDecodeError and RecursionError."""
        return json.loads(
            text,
            object_pairs_hook=self._object,
            parse_int=self._whole,
            parse_float=self._real,
            parse_constant=self._no_number,
        )

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) == len(pairs):
            return found
        self.met_something = True
        twice, seen = _Twice(found), set[str]()
        for name, _ in pairs:
            if name in seen:
                twice.name = name
                break
            seen.add(name)
        return twice

    def _whole(self, text: str) -> int | _NoNumber:
        return int(text) if len(text) <= MOST_DIGITS else self._no_number(text)

    def _real(self, text: str) -> float | _NoNumber:
        value = float(text)
        return value if isfinite(value) else self._no_number(text)

    def _no_number(self, text: str) -> _NoNumber:
        self.met_something = True
        return _NoNumber(text)


def _within(body: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Everything in a body, names included, in its order, each with its place (`volumes.0.source`); however deep."""
    waiting: list[tuple[str, Any, int]] = [("", body, 0)]
    while waiting:
        path, value, depth = waiting.pop()
        if depth > DEEPEST:
            yield path, TOO_DEEP
            continue
        yield path, value
        if isinstance(value, dict):
            for name in value:
                yield path, name
            items: list[tuple[Any, Any]] = list(value.items())
        elif isinstance(value, list):
            items = list(enumerate(value))
        else:
            continue
        base = f"{path}." if path else ""
        waiting += [(f"{base}{name}", item, depth + 1) for name, item in reversed(items)]


def _fault(value: object) -> tuple[str, str] | None:
    """What is wrong with one value, and what to do; None where nothing is."""
    if value is TOO_DEEP:
        return f"it is nested more than {DEEPEST} deep", "Send less in it."
    match value:
        case _Twice():
            return f"'{value.name}' is given twice", "Give it once: which of the two counts, nobody can tell."
        case _NoNumber():
            long = len(value) > MOST_DIGITS
            what = f"a number of more than {MOST_DIGITS} digits" if long else f"{value} is no number that JSON has"
            return what, "Send a finite number, or leave it out."
        case str() if UNCARRIED.search(value):
            return "the text holds NUL or half of a surrogate pair", "Send text that UTF-8 can carry, without NUL."
    return None
