"""kill -9 at any moment, and start again: every accepted run ends rightly, with one job, its money and its letters."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from service.sandbox.faults import Faults
from service.sandbox.serve import Options, SandboxServer
from tests.postgres import Cluster
from tests.processes import Service
from tests.receiver import Receiver


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer(Options(execute=False)) as server:
        yield server


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def database(tmp_path: Path, cluster: Cluster | None) -> str:
    return f"sqlite:///{tmp_path / 'data' / 'tunegate.db'}" if cluster is None else cluster.create(tmp_path.name)


@pytest.fixture
def service(tmp_path: Path, database: str, sandbox: SandboxServer, receiver: Receiver) -> Iterator[Service]:
    settings = {"TUNEGATE_DATABASE_URL": database, "TUNEGATE_DATA_DIR": str(tmp_path / "data")}
    with Service(tmp_path / "data", sandbox.url, **settings) as service:
        service("POST", "/teams", {"name": "research"})
        service("PUT", "/teams/research/budget", {"limit_usd": 1})
        assert service("POST", "/webhooks", {"url": receiver.url, "team": "research"}).status_code == 201
        yield service


def submit(service: Service, key: str, **env: str) -> str:
    body = {
        "team": "research",
        "recipe": {"kind": "script", "source": "print(1)"},
        "flavor": "cpu-basic",
        "timeout": "10m",
        "env": {"SANDBOX_RUN_SECONDS": "1", **env},
    }
    answer = service("POST", "/runs", body, **{"idempotency-key": key})
    assert answer.status_code in (200, 201), answer.text
    run_id: str = answer.json()["id"]
    return run_id


def until(what: Callable[[], Any], seconds: float = 20) -> None:
    stops_at = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < stops_at
        time.sleep(0.01)


def check_all(service: Service, sandbox: SandboxServer, receiver: Receiver, run_ids: list[str]) -> None:
    """One job each, the money of one minute each, and the whole story told at least once."""
    for run_id in run_ids:
        run = service.until_end(run_id)
        assert run["state"] == "succeeded", run
        jobs = [job for job in sandbox.core.jobs.newest_first() if job.labels.get("tunegate-run") == run_id]
        assert len(jobs) == 1
        told = service("GET", f"/runs/{run_id}/events").json()["data"]
        assert [event["sequence"] for event in told] == list(range(1, len(told) + 1))
        assert [event["type"] for event in told if event["type"] != "run.queued"] == [
            "run.submitted",
            "run.started",
            "run.succeeded",
        ]
        ids = {event["id"] for event in told}
        until(lambda ids=ids: ids <= {letter.headers["webhook-id"] for letter in receiver.letters})
    budget = service("GET", "/teams/research/budget").json()
    assert budget["reserved_usd"] == 0
    assert budget["charged_usd"] == pytest.approx(len(run_ids) * 0.000167, abs=1e-9)


def test_killed_between_the_create_call_and_its_reply(
    service: Service, sandbox: SandboxServer, receiver: Receiver
) -> None:
    sandbox.core.faults.set(Faults(reply_delay_seconds=3))
    run_id = submit(service, "k")
    until(lambda: sandbox.core.jobs.newest_first())
    service.kill()
    sandbox.core.faults.set(Faults())
    service.start()
    assert service("GET", "/teams/research/budget").json()["limit_usd"] == 1
    check_all(service, sandbox, receiver, [run_id])


def test_killed_right_after_the_201(service: Service, sandbox: SandboxServer, receiver: Receiver) -> None:
    run_id = submit(service, "k")
    service.kill()
    service.start()
    assert submit(service, "k") == run_id
    check_all(service, sandbox, receiver, [run_id])


def test_killed_while_the_job_runs(service: Service, sandbox: SandboxServer, receiver: Receiver) -> None:
    run_id = submit(service, "k", SANDBOX_RUN_SECONDS="3")
    until(lambda: service("GET", f"/runs/{run_id}").json()["state"] == "running")
    service.kill()
    time.sleep(3)  # the job ends while nobody watches
    service.start()
    check_all(service, sandbox, receiver, [run_id])


def test_killed_again_and_again_under_load(service: Service, sandbox: SandboxServer, receiver: Receiver) -> None:
    chance = random.Random(7)
    run_ids = []
    for number in range(12):
        run_ids.append(submit(service, f"k{number}"))
        if number % 3 == 2:
            time.sleep(chance.random() * 0.5)
            service.kill()
            service.start()
    check_all(service, sandbox, receiver, run_ids)


@pytest.mark.usefixtures("service")
def test_a_second_process_on_the_same_file_refuses(tmp_path: Path, database: str, sandbox: SandboxServer) -> None:
    if not database.startswith("sqlite"):
        pytest.skip("on PostgreSQL the second process waits for the lease")
    twin = Service(tmp_path / "data", sandbox.url)
    with pytest.raises(AssertionError, match=r"(?s)exit code 78: .*another process holds"):
        twin.start()
