"""charge: what an ended job cost, by Hugging Face's own rule."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlmodel import Session

from service.domain import money
from service.hub.models import Job
from service.store import ledger
from service.store.tables import Attempt


def charge(session: Session, attempt: Attempt, job: Job | None, now: datetime) -> None:
    """HF's minute rule on finishedAt − startedAt; where HF gives no times, on the bounds that were observed. A job that
    never started costs nothing."""
    attempt.finished_at = _observed_end(attempt, now) if job is None else job.finished_at or _observed_end(attempt, now)
    if attempt.started_at is None:
        attempt.running_ms, attempt.minutes, attempt.cost_micro_usd = None, 0, 0
        ledger.release(session, attempt, now)
        return
    exact = None if job is None else job.running_ms
    observed = money.elapsed_ms(attempt.started_at, attempt.finished_at)
    attempt.running_ms = observed if exact is None else exact
    attempt.metered_source = "observed" if exact is None else "hub"
    attempt.minutes = money.minutes(attempt.running_ms)
    attempt.cost_micro_usd = ledger.settle(session, attempt, attempt.minutes, now)


def _observed_end(attempt: Attempt, now: datetime) -> datetime:
    """No later than now, and no later than its timeout and the kill allowed: nobody may have been looking."""
    if attempt.started_at is None:
        return now
    return min(now, attempt.started_at + timedelta(seconds=attempt.timeout_seconds + money.GRACE_MINUTES * 60))
