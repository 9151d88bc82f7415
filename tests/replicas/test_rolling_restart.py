"""Every replica is restarted in turn while runs are submitted and read through a load balancer: no call fails."""

from __future__ import annotations

import threading
from typing import Any

from service.client import Tunegate
from service.client.records import Me
from service.sandbox.serve import SandboxServer
from tests.forwarder import Forwarder
from tests.processes import ADMIN_KEY
from tests.replicas.conftest import Replicas, until

REPLICAS = 2
CLIENTS = 2
RUN: dict[str, Any] = {
    "team": "research",
    "recipe": {"kind": "script", "source": "print(1)"},
    "flavor": "cpu-basic",
    "timeout": "10m",
    "env": {"SANDBOX_RUN_SECONDS": "0.2"},
}


class Load:
    """Clients that submit and read all the while."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._submit) for _ in range(CLIENTS)]
        self._threads.append(threading.Thread(target=self._read))
        self.submitted: list[str] = []
        self.read = 0
        self.failed: list[BaseException] = []

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_what: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _submit(self) -> None:
        with Tunegate(self._url, ADMIN_KEY) as client:
            # fewer the longer it takes: a slow machine has to carry them all out
            while not self._over.wait(0.3 + len(self.submitted) / 40):
                try:
                    self.submitted.append(client.runs.submit(**RUN).id)
                except Exception as error:
                    self.failed.append(error)

    def _read(self) -> None:
        with Tunegate(self._url, ADMIN_KEY) as client:
            while not self._over.wait(0.1):
                try:
                    assert isinstance(client.me(), Me)
                    assert all(client.runs.get(run_id).id == run_id for run_id in self.submitted[-2:])
                    self.read += 1
                except Exception as error:
                    self.failed.append(error)


def test_no_call_fails_and_no_run_is_lost_or_doubled(replicas: Replicas, sandbox: SandboxServer) -> None:
    for _ in range(REPLICAS):
        replicas.add(TUNEGATE_MAX_CONCURRENT_RUNS="100", TUNEGATE_POLL_SECONDS="1")
    ways = [("127.0.0.1", service.port) for service in replicas.all]
    with Forwarder(ways) as balancer:
        with Load(f"http://127.0.0.1:{balancer.port}") as load:
            for service in replicas.all:
                before = len(load.submitted)
                until(lambda before=before: len(load.submitted) > before + 5, 40)
                service.stop()
                before = len(load.submitted)
                until(lambda before=before: len(load.submitted) > before + 5, 40)
                service.start()
        assert not load.failed
        assert load.read > 10
    [first, *_] = replicas.all
    with Tunegate(first.url, ADMIN_KEY) as client:
        until(lambda: all(run.is_terminal for run in client.runs.list()), 180, every=1)
        runs = list(client.runs.list())
    assert sorted(run.id for run in runs) == sorted(load.submitted)
    assert {run.state for run in runs} == {"succeeded"}
    made = [job.labels["tunegate-run"] for job in sandbox.core.jobs.newest_first()]
    assert sorted(made) == sorted(load.submitted)
    assert first("GET", "/teams/research/budget").json()["reserved_usd"] == 0
