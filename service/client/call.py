"""One call of the API as a value: what is sent, and what is made of the answer. Nothing here talks to anybody."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar
from urllib.parse import quote

T = TypeVar("T")
JSON = "application/json"
EVENT_STREAM = "text/event-stream"


@dataclass(frozen=True)
class Call(Generic[T]):
    """`read` makes the result of an answer's JSON, or of its text where `accept` is something else.

    `repeats`: carried out twice, it does no more than once: a read, a value that is set, a cancel, a POST with an
    idempotency key. Others are sent again only where it is certain that nothing was done. `most`: how many items of a
    list are wanted.
    """

    method: str
    path: str
    read: Callable[[Any], T]
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    accept: str = JSON
    repeats: bool = True
    most: int | None = None

    @property
    def params(self) -> tuple[tuple[str, str], ...]:
        """The query as the wire has it: what is None is left out, a list names its parameter several times."""
        pairs = []
        for name, value in self.query.items():
            for one in value if isinstance(value, list | tuple) else [value]:
                if one is not None:
                    pairs.append((name, on_the_wire(one)))
        return tuple(pairs)

    @property
    def content(self) -> bytes | None:
        """The body as UTF-8."""
        if self.body is None:
            return None
        return json.dumps(self.body, ensure_ascii=False, default=on_the_wire).encode()


def on_the_wire(value: object) -> str:
    """A value in an address or a body, where JSON has no form of its own for it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone: say which, as in datetime.now(UTC)")
        return value.isoformat()
    return str(value)


def path(*parts: str) -> str:
    """An address of parts, each quoted whole: an id never leads elsewhere."""
    return "/" + "/".join(quote(part, safe="") for part in parts)


def given(**fields: Any) -> dict[str, Any]:
    """A body with what is not None: left out is not the same as null."""
    return {name: value for name, value in fields.items() if value is not None}


def nothing(_answer: Any) -> None:
    """What is made of an answer without a body."""
    return
