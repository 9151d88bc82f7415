"""Two processes on one PostgreSQL: what one commits, the other acts on and tells at once."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from service.sandbox.serve import Options, SandboxServer
from tests.crash.test_kill import submit
from tests.postgres import Cluster
from tests.processes import ADMIN_KEY, Service

# Without a word of the other replica the step that cancels comes once in ten minutes, and a stream looks once in one.
SLOW = {"TUNEGATE_POLL_SECONDS": "600"}
SOON = 30


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


def test_what_is_asked_of_one_replica_is_done_by_the_other_at_once_and_told_to_those_who_follow(
    replicas: tuple[Service, Service, SandboxServer],
) -> None:
    api, worker, sandbox = replicas
    asked: dict[str, Any] = {"timeout": SOON, "trust_env": False}
    asked["headers"] = {"authorization": f"Bearer {ADMIN_KEY}", "accept": "text/event-stream"}
    with httpx2.stream("GET", f"{api.url}/events?latest=true", **asked) as feed:
        run_id = submit(api, "k", SANDBOX_RUN_SECONDS="500")
        with httpx2.stream("GET", f"{api.url}/runs/{run_id}/events", **asked) as story:
            told, all_told = story.iter_lines(), feed.iter_lines()
            assert hears(told, "run.submitted")
            assert api("POST", f"/runs/{run_id}/cancel").is_success
            assert hears(told, "run.cancelled")
            assert hears(all_told, "run.cancelled")
    assert len(list(sandbox.core.jobs.newest_first())) == 1
    assert worker("GET", f"/runs/{run_id}").status_code == 404, "it runs the steps and answers nobody"
    assert worker("GET", "/metrics").status_code == 200
    assert worker("GET", "/readyz").json()["checks"]["leads"]
    assert not api("GET", "/readyz").json()["checks"]["leads"]


def hears(lines: Iterator[str], what: str) -> bool:
    """Whether a stream tells it soon; it is never silent for longer than that."""
    stops_at = time.monotonic() + SOON
    return any(what in line for line in itertools.takewhile(lambda _line: time.monotonic() < stops_at, lines))
