"""Two processes on one PostgreSQL: what one commits, the other acts on and tells at once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from service.sandbox.serve import Options, SandboxServer
from tests.crash.test_kill import submit, until
from tests.postgres import Cluster
from tests.processes import ADMIN_KEY, Service

SLOW = {"TUNEGATE_POLL_SECONDS": "60"}
SOON = 1.5


@pytest.fixture
def replicas(tmp_path: Path, cluster: Cluster | None) -> Iterator[tuple[Service, Service, SandboxServer]]:
    """The one that answers requests, and the one that runs the steps."""
    if cluster is None:
        pytest.skip("several replicas need PostgreSQL")
    settings = {
        "TUNEGATE_DATABASE_URL": cluster.create(tmp_path.name),
        "TUNEGATE_DATA_DIR": str(tmp_path / "data"),
        **SLOW,
    }
    with (
        SandboxServer(Options(execute=False)) as sandbox,
        Service(tmp_path / "worker", sandbox.url, **settings, TUNEGATE_ROLE="worker") as worker,
        Service(tmp_path / "api", sandbox.url, **settings, TUNEGATE_ROLE="api") as api,
    ):
        api("POST", "/teams", {"name": "research"})
        api("PUT", "/teams/research/budget", {"limit_usd": 1})
        yield api, worker, sandbox


def test_a_run_that_another_replica_took_is_submitted_at_once_and_told_to_those_who_follow(
    replicas: tuple[Service, Service, SandboxServer],
) -> None:
    api, worker, sandbox = replicas
    until(lambda: worker("GET", "/readyz").json()["checks"]["hub"] == "ok")
    asked = {"timeout": 30, "trust_env": False}  # within it no stream looks unasked
    asked["headers"] = {"authorization": f"Bearer {ADMIN_KEY}", "accept": "text/event-stream"}
    seconds = 0.0
    for number in range(5):
        with httpx2.stream("GET", f"{api.url}/events?latest=true", **asked) as feed:
            sent_at = time.monotonic()
            run_id = submit(api, f"k{number}")
            with httpx2.stream("GET", f"{api.url}/runs/{run_id}/events", **asked) as story:
                for stream in (story, feed):
                    assert any("run.submitted" in line for line in stream.iter_lines())
            seconds += time.monotonic() - sent_at
    assert seconds < 5 * SOON, "by the intervals of the steps alone each took two seconds and a half on the average"
    assert len(list(sandbox.core.jobs.newest_first())) == 5
    assert worker("GET", f"/runs/{run_id}").status_code == 404, "it runs the steps and answers nobody"
    assert worker("GET", "/metrics").status_code == 200
    assert worker("GET", "/readyz").json()["checks"]["leads"]
    assert not api("GET", "/readyz").json()["checks"]["leads"]
