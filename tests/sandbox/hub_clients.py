"""A served Hub that remembers its requests, and real clients pointed at it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
from huggingface_hub import HfApi, constants

from service.sandbox.core import Sandbox
from service.sandbox.hub import Hub
from service.sandbox.serve import Options, SandboxServer
from service.sandbox.wire import Request, Response

OWNER, READER, STRANGER = "hf_sandbox", "hf_sandbox_read", "hf_sandbox_broke"


@dataclass
class ServedHub:
    """A sandbox behind a socket on loopback, its Hub, and the requests that reached it: method, path, status."""

    address: str
    hub: Hub
    requests: list[tuple[str, str, int]] = field(default_factory=list)

    def switch(self, repo_path: str, **fields: Any) -> None:
        """Change a repository's behaviour by the sandbox's own endpoint."""
        httpx2.post(f"{self.address}/sandbox/repos/{repo_path}", json=fields).raise_for_status()

    def environment(self, home: Path, token: str | None = OWNER, **more: str) -> dict[str, str]:
        """What a client process needs to use this Hub, and nothing of the user's own."""
        env = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        env |= {"HF_ENDPOINT": self.address, "HF_HOME": str(home), "HF_HUB_DISABLE_TELEMETRY": "1"}
        env |= {"HF_HUB_DISABLE_UPDATE_CHECK": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "NO_COLOR": "1"}
        return env | ({"HF_TOKEN": token} if token else {}) | more

    def hf(self, home: Path, *arguments: str, token: str | None = OWNER) -> subprocess.CompletedProcess[str]:
        """Run the real `hf` command."""
        command = [str(Path(sys.executable).with_name("hf")), *arguments]
        return self._run(command, self.environment(home, token))

    def python(self, home: Path, script: str, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a script in a client process of its own, because clients read their environment at import."""
        return self._run([sys.executable, "-c", script, *arguments], self.environment(home, **more))

    def _run(self, command: list[str], env: dict[str, str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)


def api_of(served: ServedHub, token: str | bool) -> HfApi:
    """The library in this process, pointed at a Hub."""
    return HfApi(endpoint=served.address, token=token)


def move_library(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the library in this process live in a folder and ask no other server; the folder."""
    (home / "agents.json").write_text("{}")  # else it is fetched from the default address
    monkeypatch.setattr(constants, "AGENT_HARNESSES_PATH", str(home / "agents.json"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(home / "hub"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(home / "token"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
    monkeypatch.setenv("HF_XET_CACHE", str(home / "xet"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    return home


@contextmanager
def serve_hub(port: int = 0) -> Iterator[ServedHub]:
    """Serve a fresh sandbox until the block ends, on a free port unless one is given."""
    with SandboxServer(Options(execute=False, port=port)) as server:
        served = ServedHub(server.url, server.core.hub)
        _remember(server.core, served.requests)
        yield served


def _remember(core: Sandbox, requests: list[tuple[str, str, int]]) -> None:
    handle = core.handle

    def remembering(request: Request, now: datetime) -> Response:
        response = handle(request, now)
        requests.append((request.method, request.path, response.status))
        return response

    core.handle = remembering  # type: ignore[method-assign]
