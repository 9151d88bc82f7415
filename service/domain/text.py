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
    waiting, texts = [value], []
    for one in waiting:  # which grows meanwhile
        if isinstance(one, str):
            texts.append(one)
        elif isinstance(one, dict):
            waiting += [*one.keys(), *one.values()]
        elif isinstance(one, list):
            waiting += one
    text = "".join(texts)
    # most texts are of ASCII, which is found out a hundred times as fast as what a pattern finds
    return "\0" not in text and (text.isascii() or UNCARRIED.search(text) is None)
