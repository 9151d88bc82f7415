"""Keeps the jobs of one sandbox in memory: adds, finds, lists by page."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime

from service.sandbox.jobs import Job
from service.sandbox.wire import Refusal


class JobStore:
    """Every job ever accepted, in order. `seed` makes the ids of two sandboxes differ and of two equal runs agree."""

    def __init__(self, seed: int = 0) -> None:
        self._jobs: dict[str, Job] = {}
        self._count = 0
        self._host = random.Random(seed).getrandbits(40)  # noqa: S311 - an id, not a secret

    def next_id(self, now: datetime) -> tuple[str, int]:
        """A fresh id as the Hub's are, 24 hex: seconds, host, counter; and the job's place in the order of creation."""
        self._count += 1
        return f"{int(now.timestamp()):08x}{self._host:010x}{self._count & 0xFFFFFF:06x}", self._count

    def add(self, job: Job) -> None:
        """Keep a job."""
        self._jobs[job.id] = job

    def drop(self, job: Job) -> None:
        """Forget a job: it answers 404 from now on."""
        self._jobs.pop(job.id, None)

    def find(self, job_id: str) -> Job | None:
        """The job with this id, in whatever namespace."""
        return self._jobs.get(job_id)

    def get(self, namespace: str, job_id: str) -> Job:
        """The job with this id in this namespace; raises Refusal 404."""
        job = self._jobs.get(job_id)
        if job is None or job.namespace != namespace:
            raise Refusal(404, "Job not found")
        return job

    def newest_first(self) -> Iterator[Job]:
        """All jobs, the youngest first."""
        return reversed(self._jobs.values())

    def matching(
        self, namespace: str, now: datetime, stages: list[str], labels: list[tuple[str, str]], before: int | None = None
    ) -> Iterator[Job]:
        """Jobs of a namespace, newest first: in any of the stages (none = all), with all labels, before a sequence."""
        for job in self.newest_first():
            if (
                (before is None or job.sequence < before)
                and job.namespace == namespace
                and job.visible_at <= now
                and (not stages or job.stage in stages)
                and all(job.labels.get(name) == value for name, value in labels)
            ):
                yield job
