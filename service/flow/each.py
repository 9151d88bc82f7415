"""One bad item must not hold up the others: what a step does per run is fenced off here. Nor does one wait for the
answers that another waits for: a step sees to several runs beside one another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
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


def beside(step: str, width: int, works: Sequence[tuple[str, Callable[[], T]]]) -> list[T | None]:
    """`each` for the work of each of these runs, up to `width` of them at a time; their answers in the order given.
    Works that wait for the database together are committed together."""
    if width < 2 or len(works) < 2:
        return [each(step, run_id, work) for run_id, work in works]
    with ThreadPoolExecutor(min(width, len(works)), thread_name_prefix=step) as pool:
        return list(pool.map(lambda one: each(step, *one), works))
