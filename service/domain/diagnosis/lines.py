"""A log's raw text as lines that can be compared: without colours, carriage returns and the prefixes of launchers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from service.domain.diagnosis.excerpt import excerpt
from service.domain.diagnosis.prefixes import unprefixed
from service.domain.diagnosis.records import printed

# A line longer than this is cut in its middle: what matters stands at its ends.
LONGEST = 4_000

COLOUR = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\].*?(?:\x07|\x1b\\))")
# torchrun, its --tee, Ray, SkyPilot and accelerate mark whose line it is; container logs may carry a time
RANK = re.compile(
    r"^\[(rank\d+)\]:\s?|^\[(default\d+)\]:|^\(((?:[\w.-]+,? )?pid=\d+)[^)]*\)(?:\s|$)|^\[(\d+,\d+)\]<std(?:out|err)>:"
)
NOISE = dict.fromkeys((*range(9), *range(11, 13), *range(14, 27), *range(28, 32), 127, 65533, 65279))
MARK = re.compile(
    r"^(?:stderr|stdout): |^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z(?: (?!ERROR|WARN)|$)|^(?:\[\d+\] )+"
    r"|^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)? (?=\s|Traceback|[\w.]+(?:Error|Exception): )"
)
# loggers that put their own words before each line of a traceback
LOGGED = re.compile(
    r"^(?:ERROR|CRITICAL) \d\d-\d\d \d\d:\d\d:\d\d \[[\w.]+:\d+\] "
    r"(?=\s+File|\s{4}|Traceback|[\w.]+(?:Error|Exception): )"
)
BAR = re.compile(r"^(?P<name>[^|]{0,80}?):?\s*\d{1,3}%\|[^|]*\|\s*(?P<done>[\d.]+)(?P<unit>[kMGTB]*)/(?P<total>[\d.]+)")


class Line(NamedTuple):
    """`stream` names the process of a multi-process job, where the line says so."""

    stream: str
    text: str


class Bar(NamedTuple):
    """A reading of a progress bar."""

    name: str
    done: float
    total: float


def read(raw: Iterable[str]) -> list[Line]:
    """Clean lines, in order. What a bar overwrote by a carriage return becomes a line of its own."""
    rows: list[str] = []
    for row in printed(excerpt(raw)):
        if "\r" in row:
            rows.extend(part for part in row.split("\r") if part)
        else:
            rows.append(row)
    marked = [_process(row) for row in unprefixed([_plain(row) for row in rows])]
    texts = unprefixed([text for _, text in marked])
    return [line for (stream, _), text in zip(marked, texts, strict=True) for line in _clean(stream, text)]


def _plain(text: str) -> str:
    """Without colours and control characters, and cut if it is long."""
    if len(text) > LONGEST:
        text = text[: LONGEST // 2] + text[-LONGEST // 2 :]
    if text.isprintable():
        return text.rstrip()
    if "\x1b" in text:
        text = COLOUR.sub("", text)
    return text.translate(NOISE).rstrip()


def _process(text: str) -> tuple[str, str]:
    """Whose line it is, and the line without that."""
    stream = ""
    if text and text[0] in "[(sd0123456789":
        if mark := MARK.match(text):
            text = text[mark.end() :]
        if rank := RANK.match(text):
            stream = next(filter(None, rank.groups()))
            text = text[rank.end() :]
    return stream, text


def _clean(stream: str, text: str) -> list[Line]:
    if text.startswith(("ERROR ", "CRITICAL ")) and (logged := LOGGED.match(text)):
        text = text[logged.end() :]
    if text.startswith(("  | ", "    | ")):  # an exception group draws its members into a box
        text = text.split("| ", 1)[1]
    # what is printed next may follow a bar on the same line: the bar had no newline
    if "%|" in text and (cut := _after_bar(text)) > 0:
        return [Line(stream, text[:cut]), Line(stream, text[cut:])]
    return [Line(stream, text)]


FOLLOWS_BAR = re.compile(r"%\|[^|]*\|[^\[]*\[[^\[\]]*\](?=\s*\S)")


def _after_bar(text: str) -> int:
    found = FOLLOWS_BAR.search(text)
    return found.end() if found else -1


def bar(text: str) -> Bar | None:
    """The reading of a progress bar (tqdm's form), or None."""
    if "%|" not in text:
        return None
    found = BAR.match(text.strip())
    if found is None:
        return None
    try:
        return Bar(found["name"].strip(), float(found["done"]), float(found["total"]))
    except ValueError:
        return None
