"""The sandbox's core: `handle(request, now) -> response`, without threads, sockets, sleeping or a clock of its own.

An ASGI shell puts it behind a socket and an executor runs its jobs' commands; a simulation calls it in-process under
its own clock. Both bring the time; everything that depends on time has happened when `handle` or `tick` returns.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

from service.sandbox import billing, streams
from service.sandbox.accounts import Accounts, whoami
from service.sandbox.controls import Controls
from service.sandbox.defaults import DEFAULT_RUN_SECONDS, MAX_RUNNING, PAGE_SIZE
from service.sandbox.faults import Faults, FaultSwitch
from service.sandbox.hub import Hub
from service.sandbox.job_store import JobStore
from service.sandbox.jobs import Job, Usage
from service.sandbox.jobs_api import JobsApi
from service.sandbox.lifecycle import Lifecycle
from service.sandbox.rate_limit import QUOTA, RateLimit, too_many
from service.sandbox.wire import LogStream, Refusal, Request, Response, json_response


class Sandbox:
    """One Hub with its Jobs, in memory but for the files of buckets, which are below `folder` (bucket_shelf.py).

    `execute`: an executor runs the commands; off, jobs end by the clock after `run_seconds` or as their environment
    says (lifecycle.py). `max_running` bounds the commands at one time. `seed` makes ids repeatable. `keep` leaves the
    buckets' files after `close`.
    """

    def __init__(
        self,
        *,
        accounts: Accounts | None = None,
        faults: Faults | None = None,
        execute: bool = True,
        run_seconds: float = DEFAULT_RUN_SECONDS,
        max_running: int = MAX_RUNNING,
        page_size: int = PAGE_SIZE,
        seed: int = 0,
        folder: Path | None = None,
        keep: bool = False,
    ) -> None:
        self.accounts = accounts or Accounts()
        self.faults = FaultSwitch(faults or Faults())
        self.jobs = JobStore(seed)
        self.hub = Hub(self.accounts, folder, keep)
        self._lifecycle = Lifecycle(self.jobs, execute, run_seconds, max_running)
        self._jobs_api = JobsApi(self.accounts, self.hub, self.jobs, self._lifecycle, self.faults, page_size)
        self._controls = Controls(self.jobs, self._lifecycle, self.faults)
        self._rate_limit = RateLimit()
        self._requests = 0

    def handle(self, request: Request, now: datetime) -> Response:
        """The answer to one request at this moment; never raises for what a caller sent."""
        self._lifecycle.tick(now)
        headers: dict[str, str] = {}
        try:
            if not request.path.startswith("/sandbox/"):
                headers = self._admit(request, now)
            response = self._route(request, now)
        except Refusal as refusal:
            response = refusal.response()
        return replace(response, headers={**headers, **self._request_id(now), **response.headers})

    def close(self) -> None:
        """Remove what lies on disk; nothing is asked of the sandbox after it."""
        self.hub.buckets.close()

    def tick(self, now: datetime) -> None:
        """Bring every job up to this moment."""
        self._lifecycle.tick(now)

    def take_startable(self, now: datetime) -> list[Job]:
        """For the executor: the jobs whose command must be started now; they count as RUNNING from here on."""
        return self._lifecycle.take_startable(now)

    def append_log(self, job_id: str, line: str, now: datetime) -> None:
        """For the executor: a line that a job's command wrote."""
        if job := self.jobs.find(job_id):
            self._lifecycle.append_log(job, line, now)

    def must_stop(self, job: Job) -> bool:
        """For the executor: whether a running command must be ended (cancelled, out of time, ended from outside)."""
        return job.stop is not None or job.is_terminal

    def exited(self, job: Job, exit_code: int, now: datetime) -> None:
        """For the executor: a job's command is gone, with all its children."""
        self._lifecycle.exited(job, exit_code, now)

    def record_usage(self, job_id: str, usage: Usage) -> None:
        """For the executor: what a job's processes use now."""
        if job := self.jobs.find(job_id):
            job.usage = usage

    def read_stream(self, stream: LogStream, position: int | None, now: datetime) -> tuple[list[bytes], int, bool]:
        """The frames after `position` (None: a new reader), the next position, and whether the stream has ended."""
        self._lifecycle.tick(now)
        job = self.jobs.find(stream.job_id)
        if job is None:
            return [], position or 0, True
        if position is None:
            position = streams.first_position(job, stream)
        frames = streams.frames_from(job, stream, position)
        return frames, position + len(frames), job.is_terminal

    def _admit(self, request: Request, now: datetime) -> dict[str, str]:
        """Count the call; the headers of its answer. Raises Refusal 429."""
        token = self.accounts.known(request.bearer or "")
        user = token.user.name if token else "anonymous"
        quota = self.faults.now.rate_limit or QUOTA
        headers, exceeded = self._rate_limit.count(user, request.path, quota, now)
        if exceeded:
            seconds = int(headers["ratelimit"].rpartition("t=")[2])
            raise _with_headers(too_many(seconds), headers)
        if request.path.startswith("/api/") and self.faults.strikes("next_429"):
            raise _with_headers(too_many(1), {**headers, "ratelimit": '"api";r=0;t=1'})
        return headers

    def _route(self, request: Request, now: datetime) -> Response:
        match request.path.split("/")[1:]:
            case ["sandbox", *parts]:
                response = self._controls.handle(request, parts, now) or self.hub.handle(request, now)
            case ["api", "jobs", *parts]:
                response = self._jobs_api.handle(request, parts, now)
            case ["api", "scheduled-jobs", *_]:
                raise Refusal(404, "The sandbox has no scheduled jobs")
            case ["api", "whoami-v2"] if request.method == "GET":
                response = json_response(whoami(self.accounts.token(request)))
            case ["api", "settings", "billing", "usage", "jobs"] if request.method == "GET":
                response = self._billing(request, now)
            case ["api", "telemetry", *_]:
                response = json_response({})
            case _:
                response = self.hub.handle(request, now)
        if response is None:
            raise Refusal(404, "Sorry, we can't find the page you are looking for.")
        return response

    def _billing(self, request: Request, now: datetime) -> Response:
        token = self.accounts.token(request)
        if not token.may("user.billing.read", token.user.name):
            raise Refusal(403, "This token may not read the billing of its user")
        own = [job for job in self.jobs.newest_first() if job.namespace == token.user.name]
        return json_response(billing.usage(own, now))

    def _request_id(self, now: datetime) -> dict[str, str]:
        self._requests += 1
        return {"x-request-id": f"Root=1-{int(now.timestamp()):08x}-{self._requests:024x}"}


def _with_headers(refusal: Refusal, headers: dict[str, str]) -> Refusal:
    return replace(refusal, headers={**headers, **refusal.headers})
