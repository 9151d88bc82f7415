"""What one button or form is: a call of the API, and how the form's fields become its address and body."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Action:
    """`path` names fields of the form, `query` those that stand behind its `?` where they are filled in. `fields` are
    those of the body, and how each is read from its text; an empty one is left out, unless `when_empty` says what it
    means. `every` are fields with several values. `content` names the one field that is the whole body, as CSV.

    `done` is what the next page tells, with members of the answer; an answer with the members of `failed` is told as a
    failure. `shows` names a template that shows the answer instead, as it is seen this once. `leads_to` is where to go
    then, by members of the answer; back to the form's page if left out."""

    method: str
    path: str
    done: str
    fields: Mapping[str, Callable[[str], Any]] = field(default_factory=dict)
    shows: str | None = None
    leads_to: str | None = None
    query: tuple[str, ...] = ()
    every: tuple[str, ...] = ()
    when_empty: Mapping[str, Any] = field(default_factory=dict)
    content: str | None = None
    failed: Mapping[str, Any] = field(default_factory=dict)


def lines(text: str) -> list[str]:
    """A text of several values, apart by commas or lines."""
    return [part.strip() for part in text.replace("\n", ",").split(",") if part.strip()]


def number(text: str) -> float | str:
    """A number; what is none goes as it is, so that the API says what is wrong with it."""
    try:
        return float(text)
    except ValueError:
        return text


def whole(text: str) -> int | str:
    """The same for a whole number."""
    return int(text) if text.strip().lstrip("-").isdecimal() else text


def wholes(text: str) -> list[int | str]:
    """Several whole numbers, apart by commas or lines."""
    return [whole(one) for one in lines(text)]


def counts(text: str) -> dict[str, int | str]:
    """`a100-large = 2`, one a line, as an object."""
    pairs = [one.partition("=") for one in lines(text)]
    return {name.strip(): whole(count.strip()) for name, _, count in pairs}


def pairs(text: str) -> dict[str, str]:
    """NAME=value, one a line."""
    split = (line.partition("=") for line in text.splitlines() if line.strip())
    return {name.strip(): value.strip() for name, _, value in split}


def as_json(text: str) -> Any:
    """JSON as it was typed; what is none goes as it is, so that the API says what is wrong with it."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def follow_ups(text: str) -> list[dict[str, str]]:
    """Kinds of follow-ups, as `then` of the API takes them."""
    return [{"kind": kind} for kind in lines(text)]


def ticked(text: str) -> bool:
    """A checkbox, whose form sends `no` beside it, so that one that is not ticked says so."""
    return text == "yes"


def utc(text: str) -> str:
    """A time as a browser's field has it, without a zone: pages say that it is UTC."""
    return text if text.endswith("Z") or "+" in text else f"{text}:00Z" if text.count(":") == 1 else f"{text}Z"
