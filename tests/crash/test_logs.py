"""A job's log is kept whole and once, with its secrets masked, over cut streams and restarts of the service."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from service.sandbox.serve import Options, SandboxServer
from tests.cutting_proxy import CuttingProxy
from tests.processes import ADMIN_KEY, Service

SECRET = "correct-horse-battery-staple"
LINES = 600
# Lines that cannot be told apart, bars that are redrawn, and a secret: whole, and over the border of two lines.
BARS = r" 10%|█| 1/8 [00:00<00:07]\r 20%|█| 2/8 [00:01<00:06]"
SCRIPT = f"""
import os, sys, time
secret = os.environ["KEY"]
for n in range({LINES}):
    text = ["", "same", f"line {{n}}", f"key={{secret}}.", "{BARS}"][n % 5]
    if n in (100, 400):
        text = "the key begins " + secret[:11]
    if n in (101, 401):
        text = secret[11:] + " and ends"
    print(text, flush=True)
    if n % 40 == 0:
        time.sleep(0.3)
"""


def expected() -> list[str]:
    """What the job prints, masked."""
    texts = []
    for n in range(LINES):
        text = ["", "same", f"line {n}", "key=[secret].", BARS.replace(r"\r", "\r")][n % 5]
        text = {100: "the key begins [secret]", 101: "[secret] and ends"}.get(n % 300, text)
        texts.append(text)
    return texts


REPORTS = """
import json, os, urllib.request
url = os.environ["TUNEGATE_CALLBACK_URL"]
print("reports go to", url, flush=True)
for step in (10, 20, 30):
    report = json.dumps({"step": step, "total_steps": 30, "loss": 1 / step}).encode()
    urllib.request.urlopen(urllib.request.Request(url, report, {"content-type": "application/json"}))
"""


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[SandboxServer]:
    with SandboxServer(Options(folder=tmp_path / "jobs")) as server:
        yield server


def ready(service: Service) -> None:
    service("POST", "/teams", {"name": "research"})
    service("PUT", "/teams/research/budget", {"limit_usd": 1})


def submit(service: Service, source: str = SCRIPT) -> str:
    recipe = {"kind": "script", "source": source}
    body = {"team": "research", "recipe": recipe, "flavor": "cpu-basic", "timeout": "10m", "secrets": {"KEY": SECRET}}
    answer = service("POST", "/runs", body)
    assert answer.status_code == 201, answer.text
    run_id: str = answer.json()["id"]
    return run_id


def of_script(data: list[dict[str, Any]]) -> list[str]:
    """The script's own lines: uv says a line or two before them."""
    texts = [one["line"] for one in data]
    return texts[texts.index("") :]


def test_the_kept_log_is_the_jobs_over_cuts_and_kills(tmp_path: Path, sandbox: SandboxServer) -> None:
    with CuttingProxy(sandbox.url, 20_000) as proxy, Service(tmp_path / "data", proxy.url) as service:
        ready(service)
        run_id = submit(service)
        for _ in range(2):
            have = len(service("GET", f"/runs/{run_id}/logs").json()["data"])
            wait_for_more(service, run_id, have)
            service.kill()
            service.start()
        run = service.until_end(run_id, 60)
        assert run["state"] == "succeeded", run
        log = service("GET", f"/runs/{run_id}/logs").json()
        assert of_script(log["data"]) == expected()
        assert (log["is_kept"], log["is_whole"]) == (True, True)
        assert [one["number"] for one in log["data"]] == list(range(len(log["data"])))
        assert proxy.cuts >= 1, "the streams were not cut at all"
    assert SECRET.encode() not in (tmp_path / "data" / "tunegate.db").read_bytes()


def wait_for_more(service: Service, run_id: str, have: int) -> None:
    stops_at = time.monotonic() + 20
    while time.monotonic() < stops_at:
        log = service("GET", f"/runs/{run_id}/logs").json()
        if len(log["data"]) > have or log["is_kept"]:
            return
        time.sleep(0.05)
    raise AssertionError(service("GET", f"/runs/{run_id}").json())


def test_a_log_is_followed_as_it_grows_and_gone_on_with_after_a_cut(tmp_path: Path, sandbox: SandboxServer) -> None:
    with Service(tmp_path / "data", sandbox.url) as service:
        ready(service)
        run_id = submit(service)
        first, last_id = follow(service, run_id, most=50)
        assert len(first) == 50
        assert service("GET", f"/runs/{run_id}").json()["is_terminal"] is False, "it is live"
        rest, _ = follow(service, run_id, last_id=last_id)
        assert rest[-1] == {"state": "succeeded"}, service("GET", f"/runs/{run_id}").json()["failure"]
        assert of_script([*first, *rest[:-1]]) == expected()


def test_the_feed_of_events_is_followed_live(tmp_path: Path, sandbox: SandboxServer) -> None:
    with Service(tmp_path / "data", sandbox.url) as service:
        ready(service)
        run_id = submit(service, "print(1)\n")
        told, last_id = stream(service, "/events?type=run.*", most=4)
        assert [one["type"] for one in told] == ["run.queued", "run.submitted", "run.started", "run.succeeded"]
        assert last_id == str(told[-1]["position"])
        again, _ = stream(service, f"/runs/{run_id}/events", last_id="2")
        assert [one["type"] for one in again[:2]] == ["run.started", "run.succeeded"]
        assert again[-1] == {"state": "succeeded"}


def follow(
    service: Service, run_id: str, most: int | None = None, last_id: str | None = None
) -> tuple[list[dict[str, Any]], str | None]:
    """A log's lines, up to so many, and the id of the last one."""
    return stream(service, f"/runs/{run_id}/logs?follow=true", most, last_id)


def stream(
    service: Service, path: str, most: int | None = None, last_id: str | None = None
) -> tuple[list[dict[str, Any]], str | None]:
    """The data of a stream's events, up to so many, and the id of the last one."""
    headers = {"authorization": f"Bearer {ADMIN_KEY}", "accept": "text/event-stream"}
    headers |= {"last-event-id": last_id} if last_id else {}
    found: list[dict[str, Any]] = []
    with httpx2.stream("GET", service.url + path, headers=headers, timeout=30, trust_env=False) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        for line in answer.iter_lines():
            if line.startswith("id: "):
                last_id = line.removeprefix("id: ")
            if line.startswith("data: "):
                found.append(json.loads(line.removeprefix("data: ")))
            if len(found) == most:
                break
    return found, last_id


def test_a_script_reports_to_its_own_url_which_no_log_tells(tmp_path: Path, sandbox: SandboxServer) -> None:
    with Service(tmp_path / "service", sandbox.url) as service:
        ready(service)
        run = service.until_end(submit(service, REPORTS))
        assert run["state"] == "succeeded", run["failure"]
        assert (run["progress"]["step"], run["progress"]["loss"]) == (30, 1 / 30)
        series = service("GET", f"/runs/{run['id']}/metrics").json()["data"]
        assert [(point["step"], point["numbers"]["loss"]) for point in series] == [(10, 0.1), (20, 0.05), (30, 1 / 30)]
        (line,) = (one["line"] for one in service("GET", f"/runs/{run['id']}/logs").json()["data"])
        assert line.startswith("reports go to")
        assert line.endswith("[secret]")
    assert "callbacks/run_" not in (tmp_path / "service" / "service.log").read_text()
