"""Durations as people write them."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema

UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
WRITTEN = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)\s*([smhd]?)")
MAX_SECONDS = 30 * 86400


def parse_duration(value: object) -> object:
    """`90`, `"90s"`, `"45m"`, `"1.5h"`, `"2d"` as whole seconds; raises ValueError for another text."""
    if not isinstance(value, str):
        return value
    match = WRITTEN.fullmatch(value.strip())
    if match is None:
        raise ValueError("a duration is a number of seconds, or a text such as '90s', '45m', '1.5h', '2d'")
    return round(float(match[1]) * UNITS[match[2]])


Seconds = Annotated[
    int,
    BeforeValidator(parse_duration),
    Field(ge=60, le=MAX_SECONDS),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 60, "maximum": MAX_SECONDS},
                {"type": "string", "pattern": r"^\d+(\.\d+)?\s*[smhd]?$"},
            ],
            "examples": ["2h", "45m", 5400],
        }
    ),
]
