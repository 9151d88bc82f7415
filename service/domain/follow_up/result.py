"""What a follow-up found: one line of its log, a fixed word and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from service.domain.diagnosis import Failure, failure
from service.domain.run import Reason
from service.domain.text import is_carried

MARK = "TUNEGATE_RESULT "
REMEDY = {
    "smoke_test": "Look at result.answers. A model that repeats itself or says nothing was trained too short, too "
    "fast, or with another chat template than it is asked with.",
    "evaluate": "A loss that is no number: the weights are broken, or no row has a token that counts.",
}


def read_result(lines: Iterable[str]) -> dict[str, Any] | None:
    """The last result in a log; None where there is none, or one that cannot be read."""
    told = None
    for line in lines:
        _, mark, text = line.partition(MARK)
        if mark:
            told = text
    try:
        found = json.loads(told or "null", parse_constant=_no_number)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and is_carried(found) else None


def failure_in(kind: str, result: Mapping[str, Any] | None) -> Failure | None:
    """Why a follow-up failed, where its own result says so: the line that it ended with."""
    why = (result or {}).get("failed")
    if not isinstance(why, str) or kind not in REMEDY:
        return None
    return failure(Reason.SCRIPT_ERROR, why, message=why, remedy=REMEDY[kind])


def _no_number(name: str) -> None:
    raise ValueError(name)
