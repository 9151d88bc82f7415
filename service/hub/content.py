"""JSON from the Hub, made into what everything else here can carry, once, where it enters.

Whoever owns a repository writes its files, so they may hold anything: text that UTF-8 or PostgreSQL has no place for,
numbers that no column holds, objects in each other without end.
"""

from __future__ import annotations

import json
import math
from typing import Any

from service.domain.text import cleaned

MOST_DEPTH = 40
MOST_INTEGER = 2**63


class TooDeep(Exception):
    """JSON with more levels than are read here."""


def parsed(data: bytes | str, *, prune: bool = False) -> Any:
    """The JSON of an answer or a file, as `carried` leaves it. Raises ValueError where it is none, TooDeep."""
    try:
        return carried(json.loads(data), prune=prune)
    except RecursionError:
        raise TooDeep from None


def carried(value: Any, depth: int = 0, *, prune: bool = False) -> Any:
    """The same with its texts cleaned; numbers that cannot be stored everywhere are kept as texts, so that nobody
    counts with them. What lies too deep is cut off with `prune`. Raises TooDeep without."""
    if depth > MOST_DEPTH:
        if prune:
            return None
        raise TooDeep
    match value:
        case str():
            return cleaned(value)
        case dict():
            return {cleaned(str(name)): carried(item, depth + 1, prune=prune) for name, item in value.items()}
        case list():
            return [carried(item, depth + 1, prune=prune) for item in value]
        case float() if not math.isfinite(value):
            return str(value)
        case int() if abs(value) >= MOST_INTEGER:
            return f"a number of {len(str(abs(value)))} digits"
    return value
