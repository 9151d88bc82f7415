"""What to send in place of a value that a flag does not take: what is expected, with an example."""

from __future__ import annotations

import json
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

EXAMPLES: dict[str, Any] = {
    "bool": True,
    "int": 8,
    "float": 0.1,
    "text": "…",
    "object": {"name": 1},
    "list": ["first", "second"],
}
NAMES = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "text": "a text",
    "object": "an object",
    "list": "a list of texts or numbers",
}


def remedy_for(value: object, takes: Sequence[str], choices: Sequence[str | int], default: object, null: bool) -> str:
    """A sentence for a flag that takes these kinds of values, or these choices."""
    if not takes:
        return "Leave it out: a job's command cannot carry it."
    if (meant := _unquoted(value, takes)) is not None:
        return f"Send {json.dumps(meant)}, without quotes."
    if isinstance(value, float) and "int" in takes and value.is_integer() and abs(value) < 2**53:
        return f"Send {int(value)}."
    if choices and "list" not in takes:
        close = get_close_matches(str(value).lower(), map(str, choices), n=1)
        return f"Did you mean '{close[0]}'?" if close else f"Send one of {', '.join(map(str, choices))}."
    example = default if default not in (None, "", [], {}) else None
    if choices:
        example = [choices[0]]
    if example is None:
        example = EXAMPLES[takes[0]]
    wanted = " or ".join(NAMES[kind] for kind in takes) + (" or null" if null else "")
    return f"Send {wanted}, such as {json.dumps(example, ensure_ascii=False)}, or leave it out."


def _unquoted(value: object, takes: Sequence[str]) -> object | None:
    """The number or boolean that a text spells, where the flag takes one."""
    if not isinstance(value, str) or len(value) > 40:
        return None
    text = value.strip().lower()
    if "bool" in takes and text in ("true", "false", "yes", "no"):
        return text in ("true", "yes")
    for kind, read in (("int", int), ("float", float)):
        if kind in takes:
            try:
                number = read(text)
            except ValueError:
                continue
            if abs(number) < 1e300:  # neither infinite nor no number at all
                return number
    return None
