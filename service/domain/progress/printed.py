"""Which dicts of a line a training printed, and which are only quoted there: rows of data, reprs, messages.

A training prints a dict as a line of its own, or after what its surroundings put before a line: a bar, a launcher's
rank, a logger's time, level and name, a word that says what the numbers are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from service.domain.text import COLOR

# 2,000 characters: what Trainer prints has a dozen numbers, and a log may hold anything.
DICT = re.compile(r"\{[\"'][^{}]{1,2000}\}")
BAR = r"(?:[A-Za-z]\w{0,20}:?\s+)?\d{1,3}%\|[^|\n]{0,300}\|\s*\d{1,9}/\d{1,9} \[[^\]\n]{0,80}\]"
# `INFO:name:`, `[INFO|trainer.py:2345] 2026-01-31 10:00:00 >> `, `2026-01-31 10:00:00,123 - name - INFO - `
LOGGER = (
    r"\[[^\][\n]{1,80}\]:?|\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?Z?)?|\d\d:\d\d:\d\d(?:[.,]\d{1,9})?"
    r"|(?:DEBUG|INFO|WARNING|ERROR)\b(?::[\w.]{1,80}:)?|-\s[\w.]{1,80}(?=\s-\s)|[\w.]{1,80}:[\w.<>]{1,80}:\d{1,6}|>>|[-:|,]"
)
# `step 10: {…}`, `train metrics: {…}`
WORD = (
    r"(?:(?:global[_ ])?step|iter(?:ation)?|epoch|train(?:ing)?|eval(?:uation)?|metrics?|logs?)\b"
    r"\W{0,3}(?:\d[\d./]{0,20})?"
)
# possessive: what a line may be read as in two ways is not tried in all
AROUND = re.compile(rf"(?:\s|{COLOR}|{BAR}|{LOGGER}|{WORD})*+", re.IGNORECASE)
AFTER = re.compile(rf"(?:\s|{COLOR}|{BAR})*+")


def dicts(text: str) -> Iterator[str]:
    """The dicts of a line that stand there for themselves; none if anything else does too."""
    found = list(DICT.finditer(text))
    if not found:
        return
    after = [text[one.end() : then.start()] for one, then in pairwise(found)]
    after.append(text[found[-1].end() :])
    if AROUND.fullmatch(text[: found[0].start()]) and all(map(AFTER.fullmatch, after)):
        yield from (one.group() for one in found)
