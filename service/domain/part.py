"""A split as `datasets` lets it be written: `train`, `train[:1000]`, `train[10%:20%]`, `train+test`, `all`.

TRL's script takes a split by its name out of what it has loaded, so anything more needs `datasets` to be asked for just
that part (domain/trl/command.py). The forms are those of datasets 5.2 (arrow_reader.py, `_str_to_read_instruction`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import trunc

from service.domain.errors import BrokenRule

ALL = "all"
FORM = re.compile(
    r"(?P<name>\w+(?:[.\w-]*\w)?)"
    r"(?:\[(?:(?P<start>-?[0-9][0-9_]*)(?P<start_unit>%)?)?:(?:(?P<end>-?[0-9][0-9_]*)(?P<end_unit>%)?)?\])?"
    r"(?:\((?P<rounding>closest|pct1_dropremainder)\))?"
)


@dataclass(frozen=True)
class Part:
    """A split, or the rows of it from `start` to `end`, in percent if `in_percent`; None where a bound is not given."""

    name: str
    start: int | None = None
    end: int | None = None
    in_percent: bool = False
    whole_percents: bool = False

    def rows(self, total: int) -> int:
        """How many rows that is of a split with so many."""
        start, end = (self._bound(one, total) for one in (self.start, self.end))
        return max(0, (total if end is None else end) - (start or 0))

    def _bound(self, bound: int | None, total: int) -> int | None:
        if bound is None:
            return None
        if self.in_percent:
            bound = bound * trunc(total / 100) if self.whole_percents else round(bound * total / 100)
        return max(0, min(total, bound if bound >= 0 else total + bound))


def is_part(split: str) -> bool:
    """Whether it is more than a split's name."""
    return split == ALL or any(sign in split for sign in "[+(")


def parts_of(split: str) -> list[Part]:
    """What a split's text asks for. Raises BrokenRule for what `datasets` does not take, and for no rows at all."""
    parts = [_part(one, split) for one in split.split("+")]
    if len(parts) > 1 and any(one.name == ALL for one in parts):
        raise BrokenRule("'all' is all splits already, and cannot be added to", "Write 'all' alone.")
    if parts[0].name == ALL and (parts[0].start, parts[0].end) != (None, None):
        raise BrokenRule("'all' has no parts", "Name the splits, as in train[:10]+test[:10].")
    return parts


def rows_of(split: str, known: Mapping[str, int | None]) -> int | None:
    """How many rows a split's text stands for, by those of each split; None where that is not known."""
    if split == ALL:
        counts = list(known.values())
    else:
        counts = [None if (rows := known.get(one.name)) is None else one.rows(rows) for one in parts_of(split)]
    return None if None in counts else sum(one for one in counts if one is not None)


def _bound(text: str | None) -> int | None:
    # longer than any dataset, and than what Python reads as a number
    return None if text is None else int(text.replace("_", "")[:18])


def _written(split: str) -> str:
    """What to send in place of a text that is none: the same without blanks, where that is it."""
    bare = "".join(split.split())
    if all(FORM.fullmatch(one) for one in bare.split("+")):
        return f"Send '{bare[:80]}'."
    return "Write it as train, train[:1000], train[10%:20%] or train+test."


def _part(text: str, split: str) -> Part:
    match = FORM.fullmatch(text)
    if match is None:
        raise BrokenRule(
            f"'{text[:80]}' is neither a split's name nor a part of one, such as train[:1000] or train[:10%]",
            _written(split),
        )
    start, end = (_bound(match[name]) for name in ("start", "end"))
    in_percent = bool(match["start_unit"] or match["end_unit"])
    if in_percent and any(bound is not None and abs(bound) > 100 for bound in (start, end)):
        raise BrokenRule(f"'{text}' is more than 100 %", f"Write at most {match['name']}[:100%].")
    if match["rounding"] and not in_percent:
        raise BrokenRule(f"'{text}': only percents are rounded", f"Leave '({match['rounding']})' out.")
    if end == 0 or (start is not None and end is not None and start >= end and (start >= 0) == (end >= 0)):
        few = "10%" if in_percent else "10"
        raise BrokenRule(
            f"'{text}' has no rows: it ends where it begins, or before",
            f"Write the end behind the beginning, such as {match['name']}[:{few}], or the split's name alone.",
        )
    return Part(match["name"], start, end, in_percent, match["rounding"] == "pct1_dropremainder")
