"""What jobs cost: GET /api/settings/billing/usage/jobs, by the started minute (hub-docs jobs-pricing.md).

A job is billed from `startedAt` to `finishedAt`; one that never ran costs nothing. Money is integer micro-USD.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from service.sandbox.hardware import FLAVORS
from service.sandbox.jobs import Job
from service.sandbox.wire import timestamp


def usage(jobs: Iterable[Job], now: datetime) -> dict[str, Any]:
    """The month's bill over these jobs; running jobs are billed up to now."""
    start = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    details = [_detail(job, now) for job in jobs if job.started_at and (job.finished_at or now) >= start]
    return {
        "usage": {
            "usedMicroUsd": sum(detail["totalCostMicroUsd"] for detail in details),
            "totalMinutes": sum(detail["totalMinutes"] for detail in details),
            "periodStart": timestamp(start),
            "periodEnd": timestamp((start + timedelta(days=32)).replace(day=1)),
            "jobDetails": details,
        },
        "hasAccess": True,
    }


def billed_minutes(job: Job, now: datetime) -> int:
    """Started minutes of running, at least one; 0 for a job that never ran."""
    if job.started_at is None:
        return 0
    return max(1, -(-((job.finished_at or now) - job.started_at) // timedelta(minutes=1)))


def _detail(job: Job, now: datetime) -> dict[str, Any]:
    assert job.started_at
    minutes = billed_minutes(job, now)
    detail = {
        "jobId": job.id,
        "hardwareFlavor": job.spec.flavor,
        "totalMinutes": minutes,
        "totalCostMicroUsd": minutes * FLAVORS[job.spec.flavor].micro_usd_per_minute,
        "startedAt": timestamp(job.started_at),
    }
    return detail | ({"completedAt": timestamp(job.finished_at)} if job.finished_at else {})
