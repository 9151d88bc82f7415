"""Thousands of requests out of the OpenAPI document, to a real service with the sandbox behind it, as several roles.

schemathesis (its own environment, requirements/fuzz.txt) makes them: examples, the borders of each schema, random ones,
and chains along the document's links. The seed is fixed, so that a failure comes again; FUZZ_SEED tries another one.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.sandbox.serve import Options, SandboxServer
from tests.processes import ADMIN_KEY, Service

ROOT = Path(__file__).parents[2]
SEED = os.environ.get("FUZZ_SEED", "20261129")
SECONDS = {"admin": 60, "viewer": 20, "lead": 40, "member": 40}  # in this order, as two processes get two each
LEAST_CASES = 100  # on a slow machine beside others; thousands in all
BODY = {"recipe": {"kind": "script", "source": "print(1)\n"}, "flavor": "cpu-basic", "timeout": "10m"}


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    options = Options(folder=tmp_path / "jobs", execute=False)
    with SandboxServer(options) as sandbox, Service(tmp_path / "service", sandbox.url) as started:
        for path, method, body in (
            ("/teams", "POST", {"name": "research"}),
            ("/teams/research/budget", "PUT", {"limit_usd": 5}),
            ("/runs", "POST", {**BODY, "team": "research"}),
            ("/webhooks", "POST", {"url": "http://127.0.0.1:9/", "team": "research"}),
        ):
            assert started(method, path, body).status_code in (200, 201), path
        yield started


@pytest.mark.parametrize("role", SECONDS)
def test_no_request_breaks_the_contract(service: Service, role: str, tmp_path: Path) -> None:
    made = service("POST", "/teams/research/keys", {"name": role, "role": role if role != "admin" else "lead"}).json()
    key = ADMIN_KEY if role == "admin" else made["key"]
    command = ["st", "--config-file", str(ROOT / "tests" / "fuzz" / "schemathesis.toml"), "run"]
    options = {
        "--header": f"Authorization: Bearer {key}",
        "--seed": SEED,
        "--max-time": str(SECONDS[role]),
        "--max-examples": "10",
        "--phases": "examples,coverage,fuzzing,stateful",
        "--checks": "all",
        # a body of the right form may still ask for what can never run: no schema knows what fits a GPU; a team that
        # was just made has no tokens of its own, which its 404 says: nothing that was made is gone
        "--exclude-checks": "positive_data_acceptance,ensure_resource_availability",
        "--request-timeout": "10",
        "--suppress-health-check": "all",
        "--warnings": "off",
    }
    given = [part for option in options.items() for part in option]
    ran = subprocess.run(
        [*command, *given, "--continue-on-failure", f"{service.url}/openapi.json"],
        env={**os.environ, "SCHEMATHESIS_HOOKS": "tests.fuzz.checks", "PYTHONPATH": str(ROOT), "NO_COLOR": "1"},
        cwd=tmp_path,  # where its report goes
        capture_output=True,
        text=True,
        timeout=SECONDS[role] + 120,
        check=False,
    )
    told = ran.stdout[-20_000:] + ran.stderr[-2_000:]
    print(told[told.find("= SUMMARY") :])  # noqa: T201 - shown with -rP, and where it fails
    assert ran.returncode == 0, f"{told}\n{service.log[-3000:]}"
    cases = int(ran.stdout.partition("Test cases:")[2].split()[0])
    assert cases >= LEAST_CASES, "fewer requests than a schema's borders alone should make"
    assert "request_failed" not in service.log
    assert service("GET", "/readyz").status_code == 200
