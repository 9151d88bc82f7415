"""Durations as people write them."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema

from service.domain.errors import BrokenRule

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
WRITTEN = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)\s*([smhd])", re.ASCII)
MAX_SECONDS = 30 * 86400
RULE = "a duration is a number of seconds, or a text with its unit, such as '90s', '45m', '1.5h', '2d'"


def parse_duration(value: object) -> object:
    """`90`, `"90s"`, `"45m"`, `"1.5h"`, `"2d"` as whole seconds; raises BrokenRule for another text, and for what is
    out of bounds. A text without its unit is refused: people mean minutes by it as often as seconds."""
    seconds = value
    if isinstance(value, str):
        if (match := WRITTEN.fullmatch(value.strip())) is None:
            raise BrokenRule(RULE, _remedy(value.strip()))
        seconds = round(float(match[1]) * UNITS[match[2]])
    elif value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        raise BrokenRule(RULE, "Send it as '2h' or '45m', or as a whole number of seconds.")
    if isinstance(seconds, int) and not 60 <= seconds <= MAX_SECONDS:
        raise BrokenRule("a duration is from 60 seconds to 30 days", "Send one within, such as '2h'.")
    return seconds


def _remedy(text: str) -> str:
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        return f"Say of what: '{text[:9]}s' or '{text[:9]}m'; a number without quotes is of seconds."
    if found := re.fullmatch(r"([0-9]{1,3})\s*h(?:ours?)?\s*([0-9]{1,2})\s*(?:m|min|minutes)?", text):
        return f"Write it with one unit: '{int(found[1]) * 60 + int(found[2])}m'."
    if found := re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)\s*([smhd])[a-z]*", text.lower()):
        return f"Write it as '{found[1]}{found[2]}'."
    return "Write it as '90s', '45m', '1.5h' or '2d'."


Seconds = Annotated[
    int,
    BeforeValidator(parse_duration),
    Field(ge=60, le=MAX_SECONDS),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 60, "maximum": MAX_SECONDS},
                {"type": "string", "pattern": r"^\d+(\.\d+)?\s*[smhd]$"},
            ],
            "examples": ["2h", "45m", 5400],
        }
    ),
]
