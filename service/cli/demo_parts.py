"""What the demo runs beside itself: the sandbox and the service as processes, and an inbox for webhooks."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx2
from standardwebhooks import Webhook, WebhookVerificationError

ADMIN_KEY = "tg_demo_admin_key_on_loopback_only"
START_SECONDS = 30


class Inbox:
    """An HTTP server that keeps what is posted to it, if its signature is right."""

    def __init__(self) -> None:
        self.secret: str | None = None
        self.letters: list[dict[str, Any]] = []
        self.rejected = 0
        inbox = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                self.send_response(inbox.take(body, dict(self.headers)))
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
                """Say nothing: the table is on the screen."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        self._thread = threading.Thread(target=self._server.serve_forever, name="inbox")

    def take(self, body: bytes, headers: dict[str, str]) -> int:
        """Verify and keep one letter; the HTTP status of the answer."""
        try:
            Webhook(self.secret or "").verify(body, {name.lower(): value for name, value in headers.items()})
        except WebhookVerificationError:
            self.rejected += 1
            return 400
        self.letters.append(json.loads(body))
        return 204

    def __enter__(self) -> Inbox:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Demo:
    """Sandbox and service as processes of their own on free ports, ended on exit; and a client of the service."""

    def __init__(self, folder: Path, inbox: Inbox) -> None:
        self._folder = folder
        self._inbox = inbox
        self._processes: list[subprocess.Popen[bytes]] = []
        self._http = httpx2.Client(timeout=10, trust_env=False)
        self._key = ADMIN_KEY

    def __enter__(self) -> Demo:
        sandbox_port, service_port = free_port(), free_port()
        self.sandbox_url = f"http://127.0.0.1:{sandbox_port}"
        self.service_url = f"http://127.0.0.1:{service_port}"
        try:
            self._start("sandbox", "--port", str(sandbox_port), "--folder", str(self._folder / "jobs"))
            self._await(f"{self.sandbox_url}/api/jobs/hardware")
            self._start("serve", "--port", str(service_port))
            self._await(f"{self.service_url}/readyz")
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def prepare(self, budget_usd: float) -> None:
        """A team with a budget, a key of its own, and a webhook to the inbox."""
        self._post("/teams", {"name": "research"})
        self._request("PUT", "/teams/research/budget", {"period": "month", "limit_usd": budget_usd, "hard": True})
        key = self._post("/teams/research/keys", {"name": "demo", "role": "lead"})["key"]
        self._key = key
        self._inbox.secret = self._post("/webhooks", {"url": self._inbox.url, "events": ["run.*"]})["secret"]

    def submit(self, source: str, output_repo: str, timeout: str) -> str:
        """One run; its id."""
        body = {
            "recipe": {"kind": "script", "source": source, "args": ["--steps", "6000", "--logging-steps", "50"]},
            "flavor": "cpu-basic",
            "timeout": timeout,
            "output_repo": output_repo,
            "labels": {"project": "demo"},
        }
        run_id: str = self._post("/runs", body)["id"]
        return run_id

    def get(self, path: str) -> dict[str, Any]:
        """Read one object of the service."""
        return self._request("GET", path)

    def letters_are_in(self, ids: list[str]) -> bool:
        """Whether the webhook of each run's end has arrived."""
        ended = {letter["data"]["id"] for letter in self._inbox.letters if letter["data"]["is_terminal"]}
        return ended >= set(ids)

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return self._request("POST", path, body)

    def _request(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        headers = {"authorization": f"Bearer {self._key}"}
        answer = self._http.request(method, self.service_url + path, json=body, headers=headers)
        if answer.is_error:
            raise RuntimeError(f"{method} {path}: {answer.text}")
        value: dict[str, Any] = answer.json()
        return value

    def _start(self, name: str, *arguments: str) -> None:
        # settings that are exported for a service of one's own must not change the demo
        others = {name: value for name, value in os.environ.items() if not name.startswith("TUNEGATE_")}
        environment = {**others, **self._settings()}
        with (self._folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(  # noqa: S603 - this program itself
                [sys.executable, "-m", "service", name, *arguments],
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )
        self._processes.append(process)

    def _settings(self) -> dict[str, str]:
        return {
            "TUNEGATE_DATABASE_URL": f"sqlite:///{self._folder / 'tunegate.db'}",
            "TUNEGATE_HF_ENDPOINT": self.sandbox_url,
            "TUNEGATE_HF_TOKEN": "hf_sandbox",
            "TUNEGATE_JOB_HF_TOKEN": "hf_sandbox_job",
            "TUNEGATE_HF_NAMESPACE": "acme",
            "TUNEGATE_ADMIN_KEY": ADMIN_KEY,
            "TUNEGATE_POLL_SECONDS": "0.5",
            "TUNEGATE_WEBHOOK_ALLOWED_TARGETS": "127.0.0.1",
        }

    def _await(self, url: str) -> None:
        stops_at = time.monotonic() + START_SECONDS
        while time.monotonic() < stops_at:
            try:
                if self._http.get(url).status_code == 200:
                    return
            except httpx2.TransportError:
                pass
            if self._processes[-1].poll() is not None:
                break
            time.sleep(0.1)
        raise RuntimeError(f"no answer from {url}; see the logs in {self._folder}")

    def _stop(self) -> None:
        self._http.close()
        for process in reversed(self._processes):
            process.terminate()
        for process in reversed(self._processes):
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def free_port() -> int:
    """A port of loopback that nobody listens on at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
