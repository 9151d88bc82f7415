"""Several real processes on one real PostgreSQL, over one sandbox whose jobs end by the clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from service.sandbox.serve import Options, SandboxServer
from tests.postgres import Cluster
from tests.processes import Service


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    with Cluster(in_memory=True) as started:
        yield started


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer(Options(execute=False)) as server:
        yield server


class Replicas:
    """Processes of one installation, made one by one. Each may reach the database by another way."""

    def __init__(self, folder: Path, database: str, sandbox: SandboxServer, stack: ExitStack) -> None:
        self.folder, self.database, self.sandbox = folder, database, sandbox
        self._stack = stack
        self.all: list[Service] = []

    @property
    def database_at(self) -> tuple[str, int]:
        """Where PostgreSQL listens."""
        place = urlsplit(self.database)
        assert place.hostname is not None
        assert place.port is not None
        return place.hostname, place.port

    def add(self, database: str | None = None, **more: str) -> Service:
        """One more, started, with `more` settings. The first one makes a team with money."""
        settings = {
            "TUNEGATE_DATABASE_URL": database or self.database,
            "TUNEGATE_DATA_DIR": str(self.folder / "data"),
            "TUNEGATE_SWEEP_SECONDS": "5",
            **more,
        }
        service = Service(self.folder / f"replica-{len(self.all)}", self.sandbox.url, **settings)
        self._stack.enter_context(service)
        if not self.all:
            assert service("POST", "/teams", {"name": "research"}).status_code == 201
            assert service("PUT", "/teams/research/budget", {"limit_usd": 5}).status_code == 200
        self.all.append(service)
        return service

    def jobs_of(self, run_id: str) -> int:
        """How many jobs were really made for a run."""
        return sum(job.labels.get("tunegate-run") == run_id for job in self.sandbox.core.jobs.newest_first())


@pytest.fixture
def replicas(tmp_path: Path, cluster: Cluster, sandbox: SandboxServer) -> Iterator[Replicas]:
    with ExitStack() as stack:
        yield Replicas(tmp_path, cluster.create(tmp_path.name), sandbox, stack)


def leads(service: Service) -> bool:
    """Whether a replica says that it leads."""
    return bool(service("GET", "/readyz").json()["checks"].get("leads"))


def submit(service: Service, key: str, seconds: str = "1") -> str:
    """A run whose job takes so long."""
    body = {
        "team": "research",
        "recipe": {"kind": "script", "source": "print(1)"},
        "flavor": "cpu-basic",
        "timeout": "10m",
        "env": {"SANDBOX_RUN_SECONDS": seconds},
    }
    answer = service("POST", "/runs", body, **{"idempotency-key": key})
    assert answer.status_code in (200, 201), answer.text
    run_id: str = answer.json()["id"]
    return run_id


def until(what: Callable[[], Any], seconds: float, every: float = 0.05) -> float:
    """Wait until something holds, looking each `every` seconds; how long that took."""
    began_at = time.monotonic()
    while not what():
        assert time.monotonic() - began_at < seconds
        time.sleep(every)
    return time.monotonic() - began_at
