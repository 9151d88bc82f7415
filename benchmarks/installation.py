"""One installation to measure: `tunegate serve` as a process of its own, over a sandbox in this one that executes
nothing (jobs end by the clock) and notes every call that comes."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.databases import database
from service.hub.calls import kind_of
from service.sandbox import library
from service.sandbox.core import Sandbox
from service.sandbox.faults import Faults
from service.sandbox.rate_limit import RateLimit
from service.sandbox.serve import Options, SandboxServer
from service.sandbox.shell import utc_now
from service.sandbox.wire import Request, Response
from tests.processes import Service

TEAM = "research"


@dataclass(frozen=True)
class Call:
    """One call that Hugging Face was asked: when by `time.time`, of which kind, and of a create call whose run."""

    at: float
    kind: str
    status: int
    run_id: str | None = None


class WatchedSandbox(Sandbox):
    """Keeps every call in `calls`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(execute=False, **options)
        self.calls: list[Call] = []
        library.fill(self.hub, utc_now())

    def handle(self, request: Request, now: datetime) -> Response:
        """As the sandbox does, and note it."""
        at = time.time()
        response = super().handle(request, now)
        kind = kind_of(request.method, request.path)
        run_id = json.loads(request.body)["labels"]["tunegate-run"] if kind == "create" else None
        self.calls.append(Call(at, kind, response.status, run_id))
        return response

    def start(self, labels: dict[str, str]) -> str:
        """A job that runs for a day; its id. Nobody's rate limit knows of it."""
        body = {
            "dockerImage": "python:3.12",
            "command": ["true"],
            "arguments": [],
            "environment": {"SANDBOX_RUN_SECONDS": "86400"},
            "flavor": "cpu-basic",
            "timeoutSeconds": 90_000,
            "labels": labels,
        }
        headers = {"authorization": "Bearer hf_sandbox", "content-type": "application/json"}
        request = Request("POST", "/api/jobs/acme", headers=headers, body=json.dumps(body).encode())
        made = json.loads(super().handle(request, utc_now()).body)
        self._rate_limit = RateLimit()
        return str(made["id"])

    def end(self, job_id: str) -> None:
        """A job ends well, now."""
        job = self.jobs.find(job_id)
        assert job is not None
        self._lifecycle.force(job, "COMPLETED", None, None, utc_now())

    def count(self, since: float = 0) -> Counter[str]:
        """Calls by kind."""
        return Counter(call.kind for call in self.calls if call.at >= since)


@dataclass
class Installation:
    """The two of them; the service has one team, with money enough for anything."""

    service: Service
    sandbox: WatchedSandbox
    folder: Path

    def submit(self, **fields: Any) -> str:
        """A run; its id. Its job runs for `env`'s SANDBOX_RUN_SECONDS."""
        body = {
            "team": TEAM,
            "recipe": {"kind": "script", "source": "print(1)"},
            "flavor": "cpu-basic",
            "timeout": "10m",
            **fields,
        }
        answer = self.service("POST", "/runs", body)
        assert answer.status_code == 201, answer.text
        run_id: str = answer.json()["id"]
        return run_id


@contextmanager
def installation(
    *, on_postgres: bool = False, faults: Faults | None = None, run_seconds: float = 1, **settings: str
) -> Iterator[Installation]:
    """Everything up and ready; it is gone afterwards."""
    with database(on_postgres) as (folder, url):
        settings = {"TUNEGATE_DATABASE_URL": url, "TUNEGATE_DATA_DIR": str(folder), **settings}
        server = SandboxServer(Options(execute=False))
        server.core = sandbox = WatchedSandbox(faults=faults, run_seconds=run_seconds)
        with server, Service(folder, server.url, **settings) as service:
            service("POST", "/teams", {"name": TEAM})
            service("PUT", f"/teams/{TEAM}/budget", {"limit_usd": 100_000})
            yield Installation(service, sandbox, folder)


def until(what: Any, seconds: float) -> None:
    """Wait until something holds. Raises TimeoutError."""
    stops_at = time.monotonic() + seconds
    while not what():
        if time.monotonic() > stops_at:
            raise TimeoutError(f"not within {seconds} s")
        time.sleep(0.02)
