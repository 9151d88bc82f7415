"""Server-sent events out of the lines of an answer (WHATWG HTML, 9.2)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Frame:
    """One event: its id (to go on from), its kind, its JSON."""

    id: str | None
    kind: str
    data: Any


class Frames:
    """Fed with lines, it gives a frame where one is whole; what a cut left half is never given."""

    def __init__(self) -> None:
        self._fields: dict[str, str] = {}

    def take(self, line: str) -> Frame | None:
        """The frame that this line ends, if it does. Raises ValueError for data that is no JSON."""
        if line:
            name, _, value = line.partition(":")
            if name:  # a line that begins with a colon is a comment
                value = value.removeprefix(" ")
                self._fields[name] = f"{self._fields['data']}\n{value}" if name == "data" in self._fields else value
            return None
        fields, self._fields = self._fields, {}
        if "data" not in fields:
            return None
        return Frame(fields.get("id"), fields.get("event", "message"), json.loads(fields["data"]))
