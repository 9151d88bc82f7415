"""Text that every part can carry: no NUL, for which PostgreSQL has no place, and no half of a surrogate pair, for which
UTF-8 has none."""

from __future__ import annotations

import re

# what a terminal takes for a color, as part of a pattern
COLOR = r"\x1b\[[\d;]{0,20}[A-Za-z]"
UNCARRIED = re.compile("[\0\ud800-\udfff]")


def cleaned(text: str) -> str:
    """Text from outside that is shown and stored: what cannot be carried is replaced."""
    return UNCARRIED.sub("\N{REPLACEMENT CHARACTER}", text)


def is_carried(value: object) -> bool:
    """Whether every text in a JSON value, names included, can be stored and answered as it is. However deep it is."""
    waiting = [value]
    while waiting:
        match waiting.pop():
            case str() as text if UNCARRIED.search(text):
                return False
            case dict() as named:
                waiting += [*named.keys(), *named.values()]
            case list() as items:
                waiting += items
    return True
