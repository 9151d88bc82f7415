"""A signature: wording that gives a cause away, with the program that prints it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from functools import cached_property

from service.domain.diagnosis.retry import Retry
from service.domain.run import Reason


class Where(StrEnum):
    """Where the wording counts. An exception is what ends a traceback, with the lines of its message."""

    EXCEPTION = "exception"
    LINE = "line"
    ANYWHERE = "anywhere"


class Weight(IntEnum):
    """How much the wording says. NAMES: this cause and no other. POINTS: other readings are possible. HINTS: a symptom,
    used only where nothing better is found."""

    HINTS = 1
    POINTS = 2
    NAMES = 3


class Wording:
    """A regular expression, compiled by whoever searches with it first: together they take longer than all the rest of
    a start."""

    def __init__(self, pattern: str, flags: int = 0) -> None:
        self._pattern, self._flags = pattern, flags

    @cached_property
    def compiled(self) -> re.Pattern[str]:
        """What `re` has made of it."""
        return re.compile(self._pattern, self._flags)

    def search(self, text: str) -> re.Match[str] | None:
        """As a pattern does."""
        return self.compiled.search(text)


@dataclass(frozen=True)
class Signature:
    """`frames` must be found among the traceback's frames as well, `raised` in its innermost one (who raised it),
    `through` between the program's own last one and that: by way of which libraries. A
    group named `what`, in `pattern` or in `detail` (searched in the lines that follow too), is filled into `remedy`;
    without it the cause's own remedy is given."""

    cause: Reason
    pattern: Wording
    source: str
    where: Where = Where.ANYWHERE
    weight: Weight = Weight.NAMES
    frames: Wording | None = None
    raised: Wording | None = None
    through: Wording | None = None
    detail: Wording | None = None
    remedy: str | None = None
    retry: Retry | None = None

    @property
    def looks_at_frames(self) -> bool:
        """Whether it needs a traceback."""
        return self.frames is not None or self.raised is not None or self.through is not None


LONGEST_GAP = 300


def _bounded(pattern: str) -> Wording:
    return Wording(pattern.replace(".*", f".{{0,{LONGEST_GAP}}}"), re.IGNORECASE)


def says(
    cause: Reason,
    pattern: str,
    source: str,
    *,
    where: Where = Where.ANYWHERE,
    weight: Weight = Weight.NAMES,
    frames: str | None = None,
    raised: str | None = None,
    through: str | None = None,
    detail: str | None = None,
    remedy: str | None = None,
    retry: Retry | None = None,
) -> Signature:
    """A signature from the text of its patterns, upper and lower case alike. `.*` reaches over LONGEST_GAP characters
    at most, which keeps a search of a long line linear."""
    return Signature(
        cause,
        _bounded(pattern),
        source,
        where,
        weight,
        None if frames is None else _bounded(frames),
        None if raised is None else Wording(raised),
        None if through is None else Wording(through),
        None if detail is None else _bounded(detail),
        remedy,
        retry,
    )
