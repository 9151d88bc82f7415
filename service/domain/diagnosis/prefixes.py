"""What a platform puts before every line of a log: a time, the container's or the stream's name, a process. What only
some lines begin with is the program's own and stays."""

from __future__ import annotations

import re
from collections.abc import Sequence

TIME = r"\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?"
# A date and a time, as docker, the kubelet and containerd print them: one line with it is enough.
CLOCK = re.compile(rf"\[?{TIME}\]?(?: (?:stdout|stderr) [FP])?(?:[ \t]|:[ \t]?|$)")
# A logger through which all output goes. Where it stands before tracebacks it says nothing; elsewhere a level does.
LEVEL = re.compile(r"(?:- )?(?:[\w.-]+ - )?(?:DEBUG|INFO|WARNING|ERROR|CRITICAL)(?: -|:)(?:[ \t]|$)")
# One kind a time; where a log has several, the outer one is found first.
KINDS = (
    CLOCK,
    re.compile(r"(?:[A-Z][a-z]{2} [ \d]\d )?\d\d:\d\d:\d\d(?:[.,]\d+)?(?:[ \t]|$)"),  # syslog, `ts`
    re.compile(r"\[(?!(?:rank|default)\d)(?:pod/)?[\w.-]+(?:/[\w.-]+)?\](?::[ \t]?|[ \t]|$)"),  # kubectl --prefix
    re.compile(r"[\w.-]{1,60}[ \t]+\|{1,2}(?:[ \t]|$)"),  # docker compose; Determined
    re.compile(r"(?:stdout|stderr|STDOUT|STDERR)(?: [FP])?(?::[ \t]?|[ \t]|$)"),
    re.compile(r"\d{1,4}:(?:[ \t]|$)"),  # srun --label
    LEVEL,
    re.compile(r"\|(?:[ \t]|$)"),  # what stood between a time and the line
    re.compile(r"(?=[a-z.]*[-\d])[a-z][\w.-]{1,60}:(?:[ \t]|$)"),  # workers of deepspeed and kubernetes: `worker-1: `
    re.compile(r"\d+\.\d+(?:[ \t]|$)"),  # docker build: seconds
)
SAMPLE = 400
MOST, DEEPEST = 0.92, 4
FEWEST = 3


def unprefixed(rows: Sequence[str]) -> Sequence[str]:
    """The lines without what all, or nearly all, begin with."""
    for _ in range(DEEPEST):
        kind = _common(rows)
        if kind is None:
            return rows
        rows = [row[found.end() :] if (found := kind.match(row)) else row for row in rows]
    return rows


def _common(rows: Sequence[str]) -> re.Pattern[str] | None:
    """Tracebacks decide where there are some: their lines begin with nothing of their own."""
    voters = [row for row in rows if 'File "' in row or "Traceback (most recent" in row]
    is_traceback = len(voters) >= FEWEST
    if not is_traceback:
        voters = [row for row in rows[:: max(1, len(rows) // SAMPLE)] if row.strip()]
    for kind in KINDS:
        if len(voters) < (1 if kind is CLOCK else FEWEST) or (kind is LEVEL and not is_traceback):
            continue
        if sum(kind.match(row) is not None for row in voters) >= MOST * len(voters):
            return kind
    return None
