"""A real trackio server on loopback, as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx2

from service.cli.demo_parts import free_port

START_SECONDS = 60
SHOW = "import sys, trackio; trackio.show(open_browser=False, host='127.0.0.1', server_port=int(sys.argv[1]))"


class Charts:
    """`url` is its address, `address` the one with the write token, as `trackio.show` prints it. Its data is below the
    folder that is given."""

    token = "nT4wQ8zLk2Vb6Xe9Jm3Rp7Hs5Yd1Gc0a"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> Charts:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}/"
        self.address = f"{self.url}?write_token={self.token}"
        own = {"TRACKIO_DIR": str(self._folder / "data"), "TRACKIO_WRITE_TOKEN": self.token}
        self._folder.mkdir(parents=True)
        with (self._folder / "trackio.log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", SHOW, str(port)],
                env={**os.environ, **own, "HF_HUB_OFFLINE": "1"},
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )
        self._http = httpx2.Client(base_url=self.url, timeout=10, trust_env=False)
        self._await()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def ask(self, name: str, **fields: Any) -> Any:
        """One call of its API; reading needs no token."""
        answer = self._http.post(f"/api/{name}", json=fields).raise_for_status()
        return answer.json()["data"]

    def _await(self) -> None:
        stops_at = time.monotonic() + START_SECONDS
        while time.monotonic() < stops_at and self._process.poll() is None:
            try:
                if self._http.get("/version").status_code == 200:
                    return
            except httpx2.TransportError:
                time.sleep(0.1)
        self.__exit__(None, None, None)
        raise AssertionError((self._folder / "trackio.log").read_text())
