"""Takes secrets out of a log's lines: a run's own values, wherever they stand, and everything that looks like a token.

A value that is printed does not always stand in one piece: a long line comes in several, a terminal library colors the
numbers in it, a table wraps it within its frame. So values are also looked for in what remains of the lines without
colors, and without spaces and frames at their ends.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from service.domain import leak
from service.domain.text import COLOR

MASK = "[secret]"
# Of a secret that is cut by a line's end, less than this is found at the end of too many lines.
SHORTEST_BEGINNING = 3
FRAME = re.compile(r"^[\s|│┃║]+|[\s|│┃║]+$")
GAPS = (re.compile(COLOR), FRAME)


@dataclass(frozen=True)
class Piece:
    """A part of a line: which line, where in it, and where in all pieces joined."""

    line: int
    begin: int
    text: str
    at: int


def mask(text: str, parts: Iterable[str]) -> str:
    """A text with every one of `leak.secret_parts` taken out."""
    for part in parts:
        text = text.replace(part, MASK)
    return text


def mask_lines(lines: Sequence[str], parts: Sequence[str]) -> list[str]:
    """Lines of a log with every one of `leak.secret_parts` and every token taken out."""
    apart: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for pieces in (_pieces(lines, ()), _pieces(lines, GAPS)) if parts else ():
        for index, span in _in_pieces(list(pieces), parts):
            apart[index].append(span)
    plain = [mask(_cut(line, apart.get(index, ())), parts) for index, line in enumerate(lines)]
    return [mask_tokens(_cut(line, leak.credentials(line))) for line in plain]


def may_go_on(line: str, parts: Iterable[str]) -> bool:
    """Whether a secret may have begun at the end of a line, to go on in the next one."""
    ends = (line, "".join(piece.text for piece in _pieces([line], GAPS)))
    return any(end.endswith(part[:n]) for end in ends for part in parts for n in range(SHORTEST_BEGINNING, len(part)))


def mask_tokens(text: str) -> str:
    """A text with everything that looks like a token taken out."""
    return _cut(text, [found.span() for _, found in leak.tokens(text)])


def _pieces(lines: Sequence[str], patterns: Sequence[re.Pattern[str]]) -> Iterator[Piece]:
    """Lines without what the patterns find in them."""
    at = 0
    for index, line in enumerate(lines):
        gaps = [found.span() for pattern in patterns for found in pattern.finditer(line)]
        begin = 0
        for gap in [*sorted(gaps), (len(line), len(line))]:
            if text := line[begin : gap[0]]:
                yield Piece(index, begin, text, at)
                at += len(text)
            begin = max(begin, gap[1])


def _in_pieces(pieces: Sequence[Piece], parts: Sequence[str]) -> Iterator[tuple[int, tuple[int, int]]]:
    """Where secrets stand that are in more than one piece: the line's index, and from and to in it."""
    starts = [piece.at for piece in pieces]
    whole = "".join(piece.text for piece in pieces)
    for part in parts:
        at = whole.find(part)
        while at >= 0:
            end = at + len(part)
            crossed = pieces[bisect_right(starts, at) - 1 : bisect_right(starts, end - 1)]
            for piece in crossed if len(crossed) > 1 else ():
                first, last = max(at, piece.at), min(end, piece.at + len(piece.text))
                yield piece.line, (piece.begin + first - piece.at, piece.begin + last - piece.at)
            at = whole.find(part, at + 1)


def _cut(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """A text with these parts masked; those that touch become one."""
    pieces, done = [], 0
    for begin, end in sorted(spans):
        if end <= done:
            continue
        if begin >= done:
            pieces += [text[done:begin], MASK] if begin < end else [text[done:begin]]
        done = end
    return "".join([*pieces, text[done:]])
