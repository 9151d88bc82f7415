"""What docs/openai.md shows runs as it stands, by the real package, against a real service and the sandbox."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import CommitOperationAdd, HfApi
from openai import OpenAI

from service.sandbox.serve import Options, SandboxServer
from tests import published
from tests.doors.openai.conftest import chats
from tests.processes import Service

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service over a sandbox whose jobs train by the clock, and publish nothing of themselves."""
    folder = tmp_path_factory.mktemp("door")
    # long enough for what a job publishes to be there by its end, on a machine that is busy
    sandbox_options = Options(folder=folder / "jobs", execute=False, run_seconds=8)
    with SandboxServer(sandbox_options) as sandbox, Service(folder / "service", sandbox.url) as service:
        service("POST", "/teams", {"name": "research"})
        service("PUT", "/teams/research/budget", {"limit_usd": 20})
        yield service


def key(service: Service) -> str:
    made = service("POST", "/teams/research/keys", {"name": "docs", "role": "member"})
    return str(made.json()["key"])


def publish(service: Service, stopping: threading.Event) -> None:
    """What the job would: the model into its repository, as soon as it trains."""
    hub = HfApi(endpoint=service.hub_url, token="hf_sandbox_job")
    done: set[str] = set()
    while not stopping.wait(0.1):
        for run in service("GET", "/runs?state=running").json()["data"]:
            if (repo := run["output"]["repo"]) not in done:
                done.add(repo)
                hub.create_repo(repo, exist_ok=True)
                files = [
                    CommitOperationAdd(name, data) for name, data in published.adapter().items() if name != "README.md"
                ]  # whose lack of metadata would be a warning
                hub.create_commit(repo, files, commit_message="End of training")


def test_the_blocks_of_the_page_run_in_their_order(service: Service, tmp_path: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", (ROOT / "docs" / "openai.md").read_text(), re.M | re.S)
    assert len(blocks) > 6
    (tmp_path / "page.py").write_text("\n".join(blocks))
    env = {**os.environ, "TUNEGATE_URL": service.url, "TUNEGATE_KEY": key(service)}
    stopping = threading.Event()
    job = threading.Thread(target=publish, args=(service, stopping))
    job.start()
    try:
        ran = subprocess.run(
            [sys.executable, "-W", "error", "page.py"],
            capture_output=True, text=True, env=env, cwd=tmp_path, timeout=90, check=False,
        )  # fmt: skip
    finally:
        stopping.set()
        job.join()
    assert ran.returncode == 0, ran.stdout + ran.stderr + service.log[-2000:]
    assert re.search(r"^file-\w+ processed acme/tunegate-file-\w+$", ran.stdout, re.M), ran.stdout
    assert re.search(r"^ftjob-\w+ validating_files 2 2\.0$", ran.stdout, re.M), ran.stdout
    assert re.search(r"^succeeded acme/SmolLM2-135M-Instruct-arithmetic-\w{8} ", ran.stdout, re.M), ran.stdout
    assert "info message The job has successfully completed" in ran.stdout
    assert "step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy" in ran.stdout
    assert ran.stdout.splitlines()[-1].startswith("invalid training_file ")


def test_a_large_file_goes_through_without_being_held_in_memory(service: Service) -> None:
    lines = chats(100, tools=[{"type": "function", "function": {"name": "x" * 10_000}}])
    content = lines * (40 * 2**20 // len(lines))
    before = peak(service)
    with OpenAI(base_url=f"{service.url}/v1", api_key=key(service), max_retries=0) as client:
        file = client.files.create(file=("large.jsonl", content), purpose="fine-tune")
        assert file.bytes == len(content)
        assert client.files.content(file.id).read() == content
        client.files.delete(file.id)
    assert peak(service) - before < 2 * len(content), "in memory as a whole, and more"


def peak(service: Service) -> int:
    """The most that the service's process ever had in memory, in bytes (Linux)."""
    [line] = re.findall(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{service.pid}/status").read_text())
    return int(line) * 1024


def test_a_file_is_stored_although_the_service_is_killed_meanwhile(service: Service) -> None:
    with OpenAI(base_url=f"{service.url}/v1", api_key=key(service), max_retries=5) as client:
        file = client.files.create(file=("a.jsonl", chats(2000)), purpose="fine-tune")
        service.kill()
        service.start()
        assert client.files.wait_for_processing(file.id, poll_interval=0.1).status == "processed"
        assert client.files.content(file.id).read() == chats(2000)
