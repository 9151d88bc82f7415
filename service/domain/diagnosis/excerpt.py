"""A very long log's telling lines: its beginning, its end, and from its middle what looks like a failure, with samples
of bars and losses. Most of a long log says the same thing many times; reading all of it would take minutes."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import accumulate

# Logs up to this many characters are read whole.
WHOLE = 600_000
HEAD_ROWS, TAIL_ROWS = 1_500, 5_000
HEAD_SIZE, TAIL_SIZE = 150_000, 400_000
LONGEST_ROW = 20_000

# What is kept of the middle: the first and the last lines with each of these, and some lines around them.
TRACEBACK = "Traceback (most recent call last)"
TELLING = (
    "Error:",
    "Error(",
    "error:",
    "ERROR",
    "Exception:",
    "out of memory",
    "No space left",
    "Killed",
    "SIGKILL",
    "exitcode",
    "exits with return code",
    "Watchdog caught",
    "Assertion `",
    "Xid",
    "Fatal",
    "terminate called",
    "core dumped",
    "train_runtime",
    "pushed to the Hub",
    "/commit/",
)
FIRST, LAST = 40, 15
TRACEBACKS, FRAMES = 40, 60
BEFORE, AFTER = 2, 6
# Series are sampled at even distances.
SERIES = ("%|", "loss", "nan", "NaN")
SAMPLES = 250


def excerpt(raw: Iterable[str]) -> list[str]:
    """The log itself where it is not long."""
    text = "\n".join(raw)
    if len(text) <= WHOLE:
        return text.split("\n")
    rows = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    head, tail = _borders(rows)
    if head >= tail:
        return rows
    middle = "\n".join(row if len(row) <= LONGEST_ROW else _shortened(row) for row in rows[head:tail])
    starts = [0, *accumulate(len(row) + 1 for row in middle.split("\n"))]
    last = len(starts) - 2
    kept: set[int] = set()
    for begin, end in _telling(middle, starts):
        kept.update(range(max(0, begin), min(last, end) + 1))
    kept_rows = middle.split("\n")
    return [*rows[:head], *(kept_rows[at] for at in sorted(kept)), *rows[tail:]]


def _shortened(row: str) -> str:
    return row[: LONGEST_ROW // 2] + row[-LONGEST_ROW // 2 :]


def _borders(rows: list[str]) -> tuple[int, int]:
    """Where the beginning ends and where the end begins."""
    head, size = 0, 0
    while head < min(HEAD_ROWS, len(rows)) and size < HEAD_SIZE:
        size += min(len(rows[head]), LONGEST_ROW)
        head += 1
    tail, size = len(rows), 0
    while tail > max(head, len(rows) - TAIL_ROWS) and size < TAIL_SIZE:
        tail -= 1
        size += min(len(rows[tail]), LONGEST_ROW)
    return head, tail


def _telling(text: str, starts: list[int]) -> Iterator[tuple[int, int]]:
    """Ranges of rows."""
    for at in _first_and_last(text, TRACEBACK, TRACEBACKS, LAST):
        row = bisect_right(starts, at) - 1
        yield row - BEFORE, row + FRAMES
    for word in TELLING:
        for at in _first_and_last(text, word, FIRST, LAST):
            row = bisect_right(starts, at) - 1
            yield row - BEFORE, row + AFTER
    for word in SERIES:
        for at in _samples(text, word):
            row = bisect_right(starts, at) - 1
            yield row, row


def _first_and_last(text: str, word: str, first: int, last: int) -> Iterator[int]:
    at, found = -1, 0
    while found < first and (at := text.find(word, at + 1)) >= 0:
        found += 1
        yield at
    if at < 0:
        return
    end, found = len(text), 0
    while found < last and (end := text.rfind(word, at + 1, end)) >= 0:
        found += 1
        yield end


def _samples(text: str, word: str) -> Iterator[int]:
    step = max(1, len(text) // SAMPLES)
    at = -1
    while (at := text.find(word, at + 1)) >= 0:
        yield at
        at += step
