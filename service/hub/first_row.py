"""What the first row of a data file says: the columns, what is in them, or that there is none and never will be.

Only what `datasets` 5.2 does with such a file is told: each sentence here was seen to end a `load_dataset`. Where the
beginning of a file is not enough, or its format is not read here, nothing is told.
"""

from __future__ import annotations

import csv
import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from service.domain.facts import Shape
from service.domain.text import cleaned
from service.hub.content import TooDeep, carried
from service.hub.downloads import BEGINNING_BYTES, Beginning

JSON = re.compile(r".*\.(jsonl|ndjson|json)")
TABLE = re.compile(r".*\.(csv|tsv)")
DECODER = json.JSONDecoder(strict=False)
KINDS = {dict: "objects", list: "lists", str: "texts", type(None): "nulls"}


@dataclass(frozen=True)
class FirstRow:
    """`columns` with the shape of each value where that is known, and how many `rows` there are where all of them were
    read; or why the file cannot be loaded, as a sentence's end."""

    columns: tuple[str, ...] = ()
    shapes: Mapping[str, Shape] = field(default_factory=dict)
    trouble: str = ""
    rows: int | None = None


def first_row(name: str, beginning: Beginning) -> FirstRow | None:
    """What a file's beginning says; None where it says nothing."""
    name = name.lower()
    if name.endswith(".gz"):
        name = name.removesuffix(".gz")
        try:
            inflated = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(beginning.data, BEGINNING_BYTES)
        except zlib.error:
            return FirstRow(trouble="is no gzip file" if beginning.data else "is empty")
        # an end that was cut off looks like the end
        beginning = Beginning(inflated, is_whole=False)
    if not beginning.data and beginning.is_whole:
        return FirstRow(trouble="is empty")
    if name.endswith(".parquet"):
        return None if beginning.data[:3] == b"PAR" else FirstRow(trouble="is no parquet file")
    text = cleaned(beginning.data.decode(errors="replace").lstrip("\ufeff"))
    if JSON.fullmatch(name):
        return _of_json(text, beginning.is_whole)
    if TABLE.fullmatch(name):
        return _of_table(text, "\t" if name.endswith(".tsv") else ",", beginning.is_whole)
    if not name.endswith(".txt"):
        return None
    return FirstRow(("text",), {"text": Shape.TEXT}, rows=len(text.splitlines()) if beginning.is_whole else None)


def _of_table(text: str, delimiter: str, is_whole: bool) -> FirstRow | None:
    header, newline, rest = text.lstrip("\r\n").partition("\n")
    if not header.strip():
        return FirstRow(trouble="holds nothing but blank lines") if is_whole else None
    if is_whole and not rest.strip():
        return FirstRow(trouble="has a header and no rows")
    if not newline and not is_whole:
        return None
    try:
        return FirstRow(tuple(next(csv.reader([header], delimiter=delimiter), [])))
    except csv.Error:
        return None


def _of_json(text: str, is_whole: bool) -> FirstRow | None:
    """Of JSON lines, of a list of rows, or of one object over several lines: `datasets` takes all three."""
    text = text.lstrip()
    if not text:
        return FirstRow(trouble="holds nothing but blank lines") if is_whole else None
    at = 0
    if text.startswith("["):
        at = len(text) - len(text[1:].lstrip())
        if text.startswith("]", at):
            return FirstRow(trouble="is an empty list")
        if _goes_on(text):
            return FirstRow(trouble="has rows that are lists, not objects")
    try:
        row = carried(DECODER.raw_decode(text, at)[0])
    except json.JSONDecodeError as error:
        # a text that the beginning does not reach the end of is reported where it starts
        is_cut = not is_whole and (error.msg.startswith("Unterminated") or error.pos > len(text) - 16)
        return None if is_cut else FirstRow(trouble=f"is no JSON: {error.msg} in line {error.lineno}")
    except (RecursionError, TooDeep, ValueError):
        return None
    if at and isinstance(row, str | int | float):
        row = {"text": row}  # a list of texts becomes one column
    if not isinstance(row, dict):
        return FirstRow(trouble=f"has rows that are {KINDS.get(type(row), 'numbers')}, not objects")
    shapes = {name: shape_of(value) for name, value in row.items()}
    return FirstRow(tuple(row), shapes, rows=_lines(text) if is_whole else None) if row else None


def _lines(text: str) -> int | None:
    """How many rows JSON lines have; None for another layout."""
    lines = [line for line in text.splitlines() if line.strip()]
    return len(lines) if all(line.lstrip().startswith("{") and line.rstrip().endswith("}") for line in lines) else None


def _goes_on(text: str) -> bool:
    """Whether more follows a list, which then is a row and not all of them."""
    try:
        _, end = DECODER.raw_decode(text)
    except (ValueError, RecursionError):
        return False
    return bool(text[end:].strip())


def shape_of(value: Any) -> Shape:
    """What TRL sees in a value: it tells chats from other data by the first row's."""
    match value:
        case str():
            return Shape.TEXT
        case None:
            return Shape.NULL
        case bool() | int() | float():
            return Shape.NUMBER
        case []:
            return Shape.EMPTY
        case [{"role": _}, *_]:
            return Shape.CHAT
        case [{"from": _, "value": _}, *_]:
            return Shape.TURNS
        case list():
            return Shape.LIST
    return Shape.OBJECT
