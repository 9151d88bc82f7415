"""How a job moves: SCHEDULING → RUNNING → COMPLETED | ERROR | CANCELED, by the clock and by what the executor reports.

With `execute` off no process runs: a job runs for a time and ends, both read from its environment, so that load tests
and simulations can have thousands of jobs. These variables are honoured only then:

- `SANDBOX_RUN_SECONDS`  how long it runs (default: the sandbox's `run_seconds`)
- `SANDBOX_EXIT_CODE`    its exit code (default 0)
- `SANDBOX_LOG`          its log, lines spread evenly over the run
- `SANDBOX_GPU_GIB`      what its metrics say that each GPU holds

Nothing here reads a clock: moments due are in a heap, and `tick(now)` brings every job up to `now`. A job that moved
late still carries the moment it was due, so its times do not depend on how often someone asks.

Assumed, because undocumented: one timeout covers all attempts, and a timed-out job is not tried again.
"""

from __future__ import annotations

import heapq
from collections import deque
from datetime import datetime, timedelta

from service.sandbox.job_store import JobStore
from service.sandbox.jobs import Job

MAX_LOG_LINES = 200_000  # a runaway job must not eat the machine's memory
LONGEST_SECONDS = 10**9  # 31 years, which dates can still hold
WAITING = "Waiting for hardware to become available"


class Lifecycle:
    """Moves jobs. `execute`: processes run them; `run_seconds`: otherwise; `max_running`: processes at one time."""

    def __init__(self, store: JobStore, execute: bool, run_seconds: float, max_running: int) -> None:
        self._store = store
        self._execute = execute
        self._run_seconds = run_seconds
        self._max_running = max_running
        self._due: list[tuple[datetime, int, str, str]] = []
        self._due_count = 0
        self._startable: deque[str] = deque()
        self._running = 0

    def accept(self, job: Job, scheduling_seconds: float) -> None:
        """Take a new job in; it may start after `scheduling_seconds`."""
        job.move("SCHEDULING", job.created_at, WAITING if scheduling_seconds else None)
        self._store.add(job)
        self._plan(job, job.created_at + timedelta(seconds=scheduling_seconds), "start")

    def tick(self, now: datetime) -> None:
        """Do everything that was due until `now`, in order."""
        while self._due and self._due[0][0] <= now:
            due, _, job_id, action = heapq.heappop(self._due)
            job = self._store.find(job_id)
            if job is None or job.is_terminal:
                continue
            if action == "timeout":
                self._time_out(job, due)
            elif action == "start":
                self._start_due(job, due)
            elif action == "end":
                self.finish(job, int(_number(job, "SANDBOX_EXIT_CODE", 0)), due)
            else:
                self.append_log(job, action.removeprefix("log "), due)

    def take_startable(self, now: datetime) -> list[Job]:
        """The jobs that a process must be started for now; they are RUNNING from here on."""
        taken: list[Job] = []
        while self._startable and self._running < self._max_running:
            job = self._store.find(self._startable.popleft())
            if job is not None and job.stage == "SCHEDULING":
                self._running += 1
                self._run(job, now)
                taken.append(job)
        for job_id in self._startable:
            if job := self._store.find(job_id):
                job.message = job.message or WAITING
        return taken

    def append_log(self, job: Job, line: str, now: datetime) -> None:
        """Add a line to the log; past a limit lines are dropped and that is said once."""
        if len(job.log) < MAX_LOG_LINES:
            job.append(line, now)
        elif len(job.log) == MAX_LOG_LINES:
            job.append(f"sandbox: the log is full at {MAX_LOG_LINES} lines", now)

    def cancel(self, job: Job, now: datetime) -> None:
        """Cancel a job: at once where no process runs, else its process is asked to stop; a finished job stays."""
        if job.is_terminal:
            return
        if job.stage == "RUNNING" and self._execute:
            job.stop = job.stop or "cancel"
        else:
            self._end(job, "CANCELED", None, now)

    def exited(self, job: Job, exit_code: int, now: datetime) -> None:
        """A job's process is gone; a job that was told to stop ends as it was told, whatever its exit code."""
        self._running -= 1
        if job.is_terminal:
            return
        if job.stop == "cancel":
            self._end(job, "CANCELED", None, now)
        elif job.stop == "timeout":
            self._end(job, "ERROR", "Job timeout", now)
        else:
            self.finish(job, exit_code, now)

    def finish(self, job: Job, exit_code: int, now: datetime) -> None:
        """End an attempt by its exit code: done, tried again, or failed for good."""
        if exit_code == 0:
            self._end(job, "COMPLETED", None, now)
            return
        job.failure_count += 1
        # public logs of the real service show these two forms
        reason = "OOMKilled" if exit_code == 137 else "Error."
        message = f"Job failed with exit code: {exit_code}. Reason: {reason}"
        if job.failure_count < job.spec.attempts:
            job.move("SCHEDULING", now, message)
            self._plan(job, now, "start")
        else:
            self._end(job, "ERROR", message, now)

    def force(self, job: Job, stage: str, message: str | None, cancel_reason: str | None, now: datetime) -> None:
        """End a job from outside, as the service does when credits run out; a running process is stopped."""
        job.cancel_reason = cancel_reason
        self._end(job, stage, message, now)

    def _start_due(self, job: Job, due: datetime) -> None:
        if self._execute:
            self._startable.append(job.id)
            return
        self._run(job, due)
        job.usage.gpu_memory_bytes = int(_number(job, "SANDBOX_GPU_GIB", 0) * 2**30)
        seconds = _number(job, "SANDBOX_RUN_SECONDS", self._run_seconds)
        lines = [line for line in job.spec.environment.get("SANDBOX_LOG", "").split("\n") if line]
        for index, line in enumerate(lines, 1):
            self._plan(job, due + timedelta(seconds=seconds * index / (len(lines) + 1)), f"log {line}")
        self._plan(job, due + timedelta(seconds=seconds), "end")

    def _run(self, job: Job, now: datetime) -> None:
        if job.started_at is None:
            job.started_at = now
            self._plan(job, now + timedelta(seconds=min(job.spec.timeout_seconds, LONGEST_SECONDS)), "timeout")
        job.move("RUNNING", now)
        job.append(f"===== Job started at {now:%Y-%m-%d %H:%M:%S} =====", now)

    def _time_out(self, job: Job, due: datetime) -> None:
        if job.stage == "RUNNING" and self._execute:
            job.stop = job.stop or "timeout"
        else:
            self._end(job, "ERROR", "Job timeout", due)

    def _end(self, job: Job, stage: str, message: str | None, now: datetime) -> None:
        job.finished_at = now
        job.move(stage, now, message)

    def _plan(self, job: Job, due: datetime, action: str) -> None:
        self._due_count += 1
        heapq.heappush(self._due, (due, self._due_count, job.id, action))


def _number(job: Job, name: str, default: float) -> float:
    """A number from 0 in the job's environment; the default where it is absent or no number."""
    try:
        return min(max(0.0, float(job.spec.environment.get(name, default))), LONGEST_SECONDS)
    except ValueError:
        return default
