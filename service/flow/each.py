"""One bad item must not hold up the others: what a step does per run is fenced off here."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import structlog

T = TypeVar("T")
log = structlog.get_logger()


def each(step: str, run_id: str, work: Callable[[], T]) -> T | None:
    """The work's answer; None, with a line in the log, where it failed in a way that nobody foresaw."""
    try:
        return work()
    except Exception:
        log.exception("run_failed_in_step", step=step, run_id=run_id)
        return None
