"""Text that every part can carry: no NUL, for which PostgreSQL has no place, and no half of a surrogate pair, for which
UTF-8 has none."""

from __future__ import annotations

import re

UNCARRIED = re.compile("[\0\ud800-\udfff]")


def cleaned(text: str) -> str:
    """Text from outside that is shown and stored: what cannot be carried is replaced."""
    return UNCARRIED.sub("\N{REPLACEMENT CHARACTER}", text)


def is_carried(value: object) -> bool:
    """Whether every text in a JSON value, names included, can be stored and answered as it is."""
    match value:
        case str():
            return UNCARRIED.search(value) is None
        case dict():
            return all(is_carried(name) and is_carried(item) for name, item in value.items())
        case list():
            return all(map(is_carried, value))
    return True
