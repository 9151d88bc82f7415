"""The real `hf` command and the real client library against a served sandbox."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx2
import pytest

from service.sandbox.serve import Options, SandboxServer
from tests.sandbox.job_clients import SPEC, Caller, client_environment, hf


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxServer]:
    with SandboxServer(Options(folder=tmp_path_factory.mktemp("jobs"))) as server:
        yield server


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


def detached(server: SandboxServer, home: Path, *arguments: str) -> str:
    """Start a job with `hf jobs run --detach`; its id."""
    result = hf(server, home, "jobs", "run", "--detach", *arguments)
    assert result.returncode == 0, result.stderr
    found = re.search(r"\b[0-9a-f]{24}\b", result.stdout)
    assert found, result.stdout
    return found[0]


def test_whoami(server: SandboxServer, home: Path) -> None:
    result = hf(server, home, "auth", "whoami")
    assert result.returncode == 0
    assert "sandbox" in result.stdout
    assert "acme" in result.stdout
    assert hf(server, home, "auth", "whoami", token="hf_wrong").returncode != 0


def test_run_streams_the_log_to_its_end(server: SandboxServer, home: Path) -> None:
    result = hf(server, home, "jobs", "run", "-e", "WHAT=cloud", "python:3.12", "bash", "-c", 'echo "hello $WHAT"')
    assert result.returncode == 0, result.stderr
    assert "hello cloud" in result.stdout
    assert "completed" in result.stdout


def test_run_fails_as_the_job_does(server: SandboxServer, home: Path) -> None:
    result = hf(server, home, "jobs", "run", "python:3.12", "bash", "-c", "exit 4")
    assert result.returncode == 1
    assert "Job failed with exit code: 4. Reason: Error." in result.stderr


def test_a_detached_job_is_seen_followed_labelled_measured_and_cancelled(server: SandboxServer, home: Path) -> None:
    job_id = detached(server, home, "--label", "team=ml", "python:3.12", "bash", "-c", "echo begun; sleep 300")
    with Caller(server.url) as caller:
        assert caller.first_line(job_id) == "begun"

    assert job_id in hf(server, home, "jobs", "ps").stdout
    (inspected,) = json.loads(hf(server, home, "jobs", "inspect", "--json", job_id).stdout)
    assert (inspected["id"], inspected["status"]["stage"]) == (job_id, "RUNNING")
    stats = hf(server, home, "jobs", "stats", job_id)
    assert stats.returncode == 0, stats.stderr
    assert job_id in stats.stdout
    assert hf(server, home, "jobs", "labels", job_id, "--label", "team=nlp").returncode == 0
    (inspected,) = json.loads(hf(server, home, "jobs", "inspect", "--json", job_id).stdout)
    assert inspected["labels"]["team"] == "nlp"

    assert hf(server, home, "jobs", "cancel", job_id).returncode == 0
    waited = hf(server, home, "jobs", "wait", job_id)
    assert waited.returncode == 1
    assert "CANCELED" in waited.stdout + waited.stderr
    assert "begun" in hf(server, home, "jobs", "logs", job_id).stdout
    assert job_id not in hf(server, home, "jobs", "ps").stdout
    assert job_id in hf(server, home, "jobs", "ps", "-a").stdout


def test_wait_succeeds_with_the_job_and_logs_have_a_tail(server: SandboxServer, home: Path) -> None:
    job_id = detached(server, home, "python:3.12", "bash", "-c", "echo one; echo two; echo three")
    assert hf(server, home, "jobs", "wait", job_id).returncode == 0
    assert hf(server, home, "jobs", "logs", "--tail", "1", job_id).stdout.split() == ["three"]
    followed = hf(server, home, "jobs", "logs", "-f", job_id)
    assert followed.stdout.split() == ["one", "two", "three"]


def test_answers_carry_the_moment_they_were_made(server: SandboxServer) -> None:
    # `hf jobs logs` takes lines that are more than a second younger than the Date for news, and leaves them out
    begun = time.monotonic()
    while time.monotonic() - begun < 1.2:  # over the turn of a second
        asked = datetime.now(UTC).replace(microsecond=0)
        (date,) = httpx2.get(f"{server.url}/api/jobs/hardware").headers.get_list("date")
        assert parsedate_to_datetime(date) >= asked


def test_hardware_has_flavors_and_prices(server: SandboxServer, home: Path) -> None:
    result = hf(server, home, "jobs", "hardware")
    assert result.returncode == 0
    assert "a10g-large" in result.stdout
    assert "1.50" in result.stdout


@pytest.mark.parametrize(
    ("token", "arguments", "said"),
    [
        ("hf_sandbox_broke", ["run", "python:3.12", "true"], "402"),
        ("hf_sandbox_job", ["run", "python:3.12", "true"], "403"),
        ("hf_sandbox", ["run", "--namespace", "broke", "python:3.12", "true"], "403"),
        ("hf_sandbox", ["run", "--flavor", "no-such", "python:3.12", "true"], "at flavor"),
        ("hf_sandbox", ["run", "python:3.12", "echo", ""], "at command"),
        ("hf_sandbox", ["inspect", "0" * 24], "not found"),
    ],
)
def test_refusals_reach_the_user(
    server: SandboxServer, home: Path, token: str, arguments: list[str], said: str
) -> None:
    result = hf(server, home, "jobs", *arguments, token=token)
    assert result.returncode == 1
    assert said.lower() in (result.stdout + result.stderr).lower()


def test_upload_and_download_beside_jobs(server: SandboxServer, home: Path, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(bytes(range(256)) * 40)
    uploaded = hf(server, home, "upload", "sandbox/beside-jobs", str(tmp_path), ".")
    assert uploaded.returncode == 0, uploaded.stderr
    program = (
        "from huggingface_hub import snapshot_download; import pathlib\n"
        "folder = snapshot_download('sandbox/beside-jobs')\n"
        "print(pathlib.Path(folder, 'model.safetensors').read_bytes() == bytes(range(256)) * 40)\n"
    )
    # this interpreter, by name: a job's own python has no huggingface_hub
    result = hf(server, home, "jobs", "run", "-s", "HF_TOKEN=hf_sandbox_job", "x", "--", sys.executable, "-c", program)
    assert result.returncode == 0, result.stderr
    assert "True" in result.stdout.split()


def test_the_library_follows_a_job_from_run_to_wait(server: SandboxServer, home: Path) -> None:
    program = (
        "from huggingface_hub import HfApi\n"
        "api = HfApi()\n"
        "job = api.run_job(image='x', command=['bash', '-c', 'echo a; sleep 0.5; echo b'], labels={'run': 'lib'})\n"
        "print(list(api.fetch_job_logs(job_id=job.id, follow=True)))\n"
        "print(api.wait_for_job(job.id, poll_interval=0.1).status.stage)\n"
        "print([j.id for j in api.list_jobs(labels={'run': 'lib'})] == [job.id])\n"
        "again = api.rerun_job(job_id=job.id)\n"
        "api.cancel_job(job_id=again.id)\n"
        "print(api.wait_for_job(again.id, poll_interval=0.1).status.stage, again.initiator.type, job.secrets)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program],
        env=client_environment(server, home),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines() == [
        "['a', 'b']",
        "COMPLETED",
        "True",
        "CANCELED duplicated-job []",
    ]


def test_the_command_line_says_how_to_begin_and_runs_jobs(home: Path, tmp_path: Path) -> None:
    program = "from service.cli import app; app()"
    command = [sys.executable, "-c", program, "sandbox", "--port", "0", "--folder", str(tmp_path), "--no-execute"]
    with subprocess.Popen(
        [*command, "--fault", "create_500_after_accept=1"], stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout
        url = server.stdout.readline().split()[-1]
        try:
            with Caller(url) as caller:
                assert caller.http.post("/api/jobs/sandbox", json=SPEC).status_code == 500
                assert caller.http.get("/api/jobs/sandbox/count").json() == {"count": 1}
        finally:
            server.terminate()
        greeting = server.stdout.read()
    for told in (f"HF_ENDPOINT={url}", "hf_sandbox_job", "hf_sandbox_read", "hf_sandbox_broke", "job.write", "402"):
        assert told in greeting
