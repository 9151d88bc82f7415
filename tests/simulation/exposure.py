"""What jobs cost, and what they still may cost: from Hugging Face's own times, by a reckoning of its own."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from datetime import datetime

from service.sandbox.jobs import Job

GONE = "DELETED"


def ceiling(price: int, timeout_seconds: int) -> int:
    """The most that an attempt can cost: each started minute of its timeout, and one for the kill."""
    return price * (-(-timeout_seconds // 60) + 1)


def cost(job: Job, price: int) -> int:
    """Each started minute of an ended job; nothing for a job that never ran."""
    return price * minutes(job)


def minutes(job: Job) -> int:
    """Started minutes of an ended job."""
    if job.started_at is None:
        return 0
    assert job.finished_at is not None
    running_ms = _milliseconds(job.finished_at) - _milliseconds(job.started_at)
    return -(-max(running_ms, 1) // 60_000)


def committed(database: sqlite3.Connection, window: str, jobs: Mapping[str, Job]) -> int:
    """What a window's submissions have cost or may come to: a job that goes on, or may yet appear, counts with its
    ceiling, one that has ended with its cost, and with no more than its ceiling before its end is known here."""
    total = 0
    for submission, reserved, price, closed, charged in database.execute(OF_WINDOW, (window,)).fetchall():
        job = jobs.get(submission)
        if job is None or (job.stage == GONE and closed):
            total += charged or (0 if closed else reserved)
        elif not job.is_terminal or job.stage == GONE:
            total += ceiling(price, job.spec.timeout_seconds)
        else:
            total += cost(job, price) if closed else min(cost(job, price), ceiling(price, job.spec.timeout_seconds))
    return total + int(database.execute(STRAYS, (window,)).fetchone()[0])


OF_WINDOW = (
    "SELECT e.submission, e.amount_micro_usd, e.price_per_minute_micro_usd,"
    " EXISTS (SELECT 1 FROM ledger_entry c WHERE c.submission = e.submission AND c.kind IN ('charge', 'release')),"
    " (SELECT c.amount_micro_usd FROM ledger_entry c WHERE c.submission = e.submission AND c.kind = 'charge')"
    " FROM ledger_entry e JOIN reservation_window r ON r.submission = e.submission"
    " WHERE e.kind = 'reserve' AND r.window_id = ?"
)
STRAYS = (
    "SELECT coalesce(sum(amount_micro_usd), 0) FROM ledger_entry JOIN reservation_window USING (submission)"
    " WHERE kind = 'stray' AND window_id = ?"
)


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp()) * 1000 + moment.microsecond // 1000
