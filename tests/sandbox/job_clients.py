"""Callers of the sandbox's Jobs half: a core under a clock that the test moves, and real clients of a served one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2

from service.sandbox.core import Sandbox
from service.sandbox.serve import SandboxServer
from service.sandbox.wire import LogStream, Request, Response

START = datetime(2026, 11, 24, 12, 0, 0, 482_000, tzinfo=UTC)
SPEC: dict[str, Any] = {"dockerImage": "python:3.12", "command": ["python", "-V"], "flavor": "cpu-basic"}
TERMINAL = ("COMPLETED", "CANCELED", "ERROR", "DELETED")


class Desk:
    """Asks a core that executes nothing, at a moment that only `wait` moves."""

    def __init__(self, core: Sandbox | None = None) -> None:
        self.core = core or Sandbox(execute=False)
        self.now = START

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def send(self, method: str, path: str, body: Any = None, token: str | None = "hf_sandbox") -> Response:
        path, _, query = path.partition("?")
        headers = {"authorization": f"Bearer {token}"} if token else {}
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        return self.core.handle(Request(method, path, query, headers, raw), self.now)

    def ask(self, method: str, path: str, body: Any = None, token: str | None = "hf_sandbox") -> Any:
        response = self.send(method, path, body, token)
        assert response.status == 200, response.body
        return json.loads(response.body)

    def refused(self, method: str, path: str, body: Any = None, token: str | None = "hf_sandbox") -> tuple[int, str]:
        """The status and text of a refusal, after a look at its form."""
        response = self.send(method, path, body, token)
        text = json.loads(response.body)["error"]
        assert response.status >= 400
        assert response.headers["x-error-message"].encode("latin-1")
        return response.status, text

    def create(self, *, token: str = "hf_sandbox", namespace: str = "sandbox", **fields: Any) -> dict[str, Any]:
        job: dict[str, Any] = self.ask("POST", f"/api/jobs/{namespace}", SPEC | fields, token)
        return job

    def job(self, job_id: str, namespace: str = "sandbox") -> dict[str, Any]:
        job: dict[str, Any] = self.ask("GET", f"/api/jobs/{namespace}/{job_id}")
        return job

    def log(self, job_id: str) -> list[str]:
        stream = self.send("GET", f"/api/jobs/sandbox/{job_id}/logs").stream
        assert stream
        return log_texts(self.core.read_stream(stream, None, self.now)[0])

    def read(self, stream: LogStream) -> tuple[list[bytes], int, bool]:
        return self.core.read_stream(stream, None, self.now)


class Caller:
    """A plain HTTP client of a served sandbox."""

    def __init__(self, url: str, token: str = "hf_sandbox") -> None:
        self.http = httpx2.Client(base_url=url, headers={"authorization": f"Bearer {token}"}, timeout=30)

    def __enter__(self) -> Caller:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def create(self, *command: str, **fields: Any) -> str:
        answer = self.http.post("/api/jobs/sandbox", json=SPEC | {"command": list(command)} | fields)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])

    def job(self, job_id: str) -> dict[str, Any]:
        job: dict[str, Any] = self.http.get(f"/api/jobs/sandbox/{job_id}").json()
        return job

    def log(self, job_id: str) -> list[str]:
        """The whole log, without its first line; returns when the job has ended."""
        frames = self.http.get(f"/api/jobs/sandbox/{job_id}/logs").content
        return log_texts(frames.split(b"\n\n")[:-1])[1:]

    def first_line(self, job_id: str) -> str:
        """The first line that the command writes, as soon as it is there."""
        with self.http.stream("GET", f"/api/jobs/sandbox/{job_id}/logs") as answer:
            for line in answer.iter_lines():
                if line.startswith("data: {") and "===== Job started" not in line:
                    return str(json.loads(line[6:])["data"])
        raise AssertionError("the job wrote nothing")

    def ended(self, *command: str, **fields: Any) -> tuple[dict[str, Any], list[str]]:
        """Run a command to its end: the job and its log."""
        job_id = self.create(*command, **fields)
        lines = self.log(job_id)
        return self.job(job_id), lines


def log_texts(frames: list[bytes]) -> list[str]:
    return [json.loads(frame.removeprefix(b"data: "))["data"] for frame in frames]


def client_environment(server: SandboxServer, home: Path, token: str = "hf_sandbox") -> dict[str, str]:
    """The environment of a real client that knows this sandbox and nothing of the user's own."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "HF_HOME": str(home / "hf"),
        "HF_ENDPOINT": server.url,
        "HF_TOKEN": token,
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_UPDATE_CHECK": "1",
        "NO_COLOR": "1",
        "COLUMNS": "300",
    }


def hf(
    server: SandboxServer, home: Path, *arguments: str, token: str = "hf_sandbox"
) -> subprocess.CompletedProcess[str]:
    """Run the `hf` command of huggingface_hub against a sandbox."""
    return subprocess.run(
        [str(Path(sys.executable).with_name("hf")), *arguments],
        env=client_environment(server, home, token),
        capture_output=True,
        text=True,
        timeout=60,
    )
