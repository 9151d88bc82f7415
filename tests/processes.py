"""The service as a process of its own, which a test may kill."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx2

ADMIN_KEY = "tg_the_admin_key_of_the_tests"
START_SECONDS = 60  # on a machine that is busy otherwise; it is one or two
# Below those that a system gives to outgoing connections, of which one may have taken it until a service listens.
PORTS = range(20_000, 32_000)


class Service:
    """`tunegate serve` on a free port; `start` and `kill` may alternate, the database stays."""

    def __init__(self, folder: Path, hub_url: str, **settings: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.hub_url = hub_url
        self._log = folder / "service.log"
        self._settings = {
            "TUNEGATE_DATABASE_URL": f"sqlite:///{folder / 'tunegate.db'}",
            "TUNEGATE_HF_ENDPOINT": hub_url,
            "TUNEGATE_HF_TOKEN": "hf_sandbox",
            "TUNEGATE_JOB_HF_TOKEN": "hf_sandbox_job",
            "TUNEGATE_HF_NAMESPACE": "acme",
            "TUNEGATE_ADMIN_KEY": ADMIN_KEY,
            "TUNEGATE_POLL_SECONDS": "0.2",
            "TUNEGATE_HUB_TIMEOUT_SECONDS": "5",
            "TUNEGATE_LISTING_LAG_SECONDS": "1",
            "TUNEGATE_WEBHOOK_ALLOWED_TARGETS": "127.0.0.1",
            "TUNEGATE_RATE_LIMIT": "off",
            **settings,
        }
        self._http = httpx2.Client(timeout=10, trust_env=False)
        self._process: subprocess.Popen[bytes] | None = None
        self.port = own_port()  # kept over restarts, as whoever waits expects it
        self.keys = {"admin": ADMIN_KEY}

    def __enter__(self) -> Service:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)
        self._http.close()

    @property
    def settings(self) -> dict[str, str]:
        """The variables that it is started with: what an operator's commands on its machine have, too."""
        return dict(self._settings)

    @property
    def pid(self) -> int:
        """Of the process, while it runs."""
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        """What it has logged so far."""
        return self._log.read_text()

    def start(self) -> None:
        """Start and wait until it is ready."""
        self.url = f"http://127.0.0.1:{self.port}"
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "service", "serve", "--port", str(self.port)],
                env={**os.environ, "TUNEGATE_PUBLIC_URL": self.url, **self._settings},
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )
        stops_at = time.monotonic() + START_SECONDS
        while time.monotonic() < stops_at and self._process.poll() is None:
            try:
                if self._http.get(f"{self.url}/readyz").status_code == 200:
                    return
            except httpx2.TransportError:
                time.sleep(0.05)
        code = self._process.poll()
        self._process.kill()  # nobody else would end one that is slow
        self._process.wait(10)
        self._process = None
        raise AssertionError(f"exit code {code}: {self.log}")

    def stop(self, seconds: float = 20) -> None:
        """SIGTERM, as a restart sends it, and wait until it has ended."""
        assert self._process is not None
        self._process.terminate()
        assert self._process.wait(seconds) in (0, -signal.SIGTERM), self.log[-3000:]
        self._process = None

    def kill(self) -> None:
        """kill -9: nothing is finished, nothing is closed."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(10)
        self._process = None

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> httpx2.Response:
        """A request as the admin."""
        return self._http.request(
            method, self.url + path, json=body, headers={"authorization": f"Bearer {ADMIN_KEY}", **headers}
        )

    def until_end(self, run_id: str, seconds: float = 40) -> dict[str, Any]:
        """The run once it has ended."""
        stops_at = time.monotonic() + seconds
        while time.monotonic() < stops_at:
            run: dict[str, Any] = self("GET", f"/runs/{run_id}").json()
            if run["is_terminal"]:
                return run
            time.sleep(0.05)
        raise AssertionError(f"{run}\n{self.log[-3000:]}")


def own_port() -> int:
    """A port of loopback that nobody has, and that nobody gets by chance."""
    while True:
        port = secrets.choice(PORTS)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
