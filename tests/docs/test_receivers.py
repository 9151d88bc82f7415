"""The webhook receivers that docs/webhooks.md shows, as programs: what the service signs is taken, nothing else is."""

from __future__ import annotations

import base64
import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
from standardwebhooks import Webhook

from service.cli.demo_parts import free_port
from tests.docs.pages import blocks
from tests.processes import Service

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
PROGRAMS = {block.language: block.text for block in blocks("python", "js", "go") if block.kind == "receiver"}
BODY = b'{"type": "run.queued", "timestamp": "2026-11-24T12:00:00Z", "data": {}}'
NO_HUB = "http://127.0.0.1:9"  # nothing here asks Hugging Face
BUILD_SECONDS = 300  # Go's, on an empty cache


def command(language: str, folder: Path) -> list[str]:
    """How the page's program is started. Skips the test where the machine has nothing that runs it, unless
    DOCS_NEED names that."""
    tool = {"python": sys.executable, "js": "node", "go": "go"}[language]
    if shutil.which(tool) is None and tool not in os.environ.get("DOCS_NEED", "").split():
        pytest.skip(f"there is no {tool} here")
    program = folder / {"python": "hook.py", "js": "hook.mjs", "go": "hook.go"}[language]
    program.write_text(PROGRAMS[language])
    if language != "go":
        return [tool, str(program)]
    env = {**os.environ, "GOCACHE": str(folder / "cache"), "GOFLAGS": "-mod=mod", "CGO_ENABLED": "0"}
    subprocess.run([tool, "vet", str(program)], check=True, cwd=folder, env=env, timeout=BUILD_SECONDS)
    subprocess.run([tool, "build", "-o", "hook", str(program)], check=True, cwd=folder, env=env, timeout=BUILD_SECONDS)
    return [str(folder / "hook")]


@contextlib.contextmanager
def receiver(language: str, folder: Path) -> Iterator[tuple[str, Path]]:
    """The program, listening; its address, and the file with what it says."""
    port, said = free_port(), folder / "said"
    started = command(language, folder)
    with said.open("wb") as out:
        process = subprocess.Popen(
            started,
            env={**os.environ, "TUNEGATE_WEBHOOK_SECRET": SECRET, "PORT": str(port)},
            stdout=out,
            stderr=subprocess.DEVNULL,
        )
    url = f"http://127.0.0.1:{port}/"
    try:
        stops_at = time.monotonic() + 20
        while process.poll() is None and time.monotonic() < stops_at:
            with contextlib.suppress(httpx2.TransportError):
                httpx2.post(url, content=b"{}", trust_env=False)
                break
            time.sleep(0.02)
        yield url, said
    finally:
        process.terminate()
        process.wait(10)


def letter(url: str, signer: Webhook, at: datetime, body: bytes = BODY, sent: bytes = BODY) -> int:
    """The status of a delivery that was signed for one body and brings another, or the same."""
    signature = signer.sign("evt_1", at, body.decode())
    headers = {
        "webhook-id": "evt_1",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": f"v1,bm9uZQ== {signature}",  # as while two secrets sign
    }
    return httpx2.post(url, content=sent, headers=headers, trust_env=False).status_code


@pytest.mark.parametrize("language", ["python", "js", "go"])
def test_a_receiver_takes_what_is_signed_and_nothing_else(language: str, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    with receiver(language, tmp_path) as (url, said):
        assert httpx2.post(url, content=BODY, trust_env=False).status_code == 401
        assert letter(url, Webhook(SECRET), now) == 204
        assert letter(url, Webhook(SECRET), now) == 204  # a second time: taken, and not heard again
        assert letter(url, Webhook(SECRET), now, sent=BODY.replace(b"queued", b"failed")) == 401
        assert letter(url, Webhook("whsec_" + base64.b64encode(b"another").decode()), now) == 401
        for minutes in (-6, 6):
            assert letter(url, Webhook(SECRET), now + timedelta(minutes=minutes)) == 401
        assert said.read_text().splitlines() == ["run.queued 2026-11-24T12:00:00Z"]


def test_receivers_take_what_the_service_sends(tmp_path: Path) -> None:
    with Service(tmp_path / "service", NO_HUB) as service:
        assert service("POST", "/teams", {"name": "research"}).status_code == 201
        for language in ("python", "js"):
            (tmp_path / language).mkdir()
            if language == "js" and shutil.which("node") is None:
                continue
            with receiver(language, tmp_path / language) as (url, said):
                made = service("POST", "/webhooks", {"url": url, "secret": SECRET, "team": "research"}).json()
                answer = service("POST", f"/webhooks/{made['id']}/test").json()
                assert answer["status"] == 204, answer
                assert said.read_text().startswith("webhook.test ")
