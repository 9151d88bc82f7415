"""The service is killed and started anew while commands wait: they go on, and lose nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from service.client import Tunegate
from service.sandbox.serve import Options, SandboxServer
from tests.processes import ADMIN_KEY, Service

AWAY_SECONDS = 5.0  # more than what commands wait for a first answer
SCRIPT = """import time
for second in range(9):
    print(second, flush=True)
    time.sleep(1)
"""


def test_what_waits_outlives_a_restart(tmp_path: Path) -> None:
    with (
        SandboxServer(Options(folder=tmp_path / "jobs")) as sandbox,
        Service(tmp_path / "service", sandbox.url) as service,
        Tunegate(service.url, ADMIN_KEY) as client,
    ):
        client.teams.create("research")
        client.request("PUT", "/teams/research/budget", {"period": "month", "limit_usd": 5.0, "hard": True})
        recipe = {"kind": "script", "source": SCRIPT}
        run = client.runs.submit(recipe=recipe, flavor="cpu-basic", timeout="5m", team="research")
        commands = [_begun(service, "logs", "-f", run.id), _begun(service, "watch", run.id)]
        seen = [command.stdout.readline() for command in commands if command.stdout is not None]  # a first answer
        service.kill()
        time.sleep(AWAY_SECONDS)
        service.start()
        told = [command.communicate(timeout=60) for command in commands]
    assert [command.returncode for command in commands] == [0, 0], told
    assert seen[0] + told[0][0] == "".join(f"{second}\n" for second in range(9))
    assert "succeeded" in told[1][0]


def _begun(service: Service, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "service", *words],
        env={**os.environ, "TUNEGATE_URL": service.url, "TUNEGATE_KEY": ADMIN_KEY},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
