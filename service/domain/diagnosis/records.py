"""Logs of records: one JSON object a line, as structured loggers, docker's log driver and log streams write them. What
the program printed is one of its members; the rest is about the line."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

# Where the printed text is, and what only a record about a text has beside it.
TEXT = ("message", "msg", "log", "data", "text", "line", "textPayload")
ABOUT = ("timestamp", "time", "ts", "asctime", "@timestamp", "level", "levelname", "severity", "stream", "logger")
RAISED = ("exc_info", "exception", "traceback", "stack_trace", "stacktrace", "stack", "exc_text")
EVENT = "data: "  # a stream of server-sent events, saved as it came
LONGEST = 100_000


def printed(rows: Iterable[str]) -> list[str]:
    """The rows, with each record replaced by the lines of its text; a row that is no record stays as it is."""
    lines: list[str] = []
    for row in rows:
        start = len(EVENT) if row.startswith(EVENT) else 0
        if row.startswith("{", start) and (record := _record(row[start:])) is not None:
            lines.extend(record)
        else:
            lines.append(row)
    return lines


def _record(row: str) -> list[str] | None:
    if len(row) > LONGEST:
        return None
    try:
        found: Any = json.loads(row)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or not any(name in found for name in ABOUT):
        return None
    text = next((found[name] for name in TEXT if isinstance(found.get(name), str)), None)
    if text is None:
        return None
    raised = [found[name] for name in RAISED if isinstance(found.get(name), str)]
    return [line for part in (text, *raised) for line in part.rstrip("\r\n").split("\n")]
