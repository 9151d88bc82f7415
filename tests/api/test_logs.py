"""A run's log and its numbers over HTTP: parts of it, streams of it, and where to go on."""

from __future__ import annotations

import pytest

from tests.api.conftest import Api, server_sent
from tests.flow.conftest import SCRIPT

LOG = "\n".join(
    [
        "Loading weights",
        " 50%|█████     | 10/20 [00:20<00:20, 2.05s/it]{'loss': '2.5', 'grad_norm': '3.6', 'learning_rate': '1e-05'}",
        "{'loss': nan, 'grad_norm': nan, 'learning_rate': 5e-06, 'step': 20}",
        "{'eval_loss': '2.25', 'epoch': '1'}",
        "{'train_runtime': '40.1', 'train_loss': '2.4'}",
    ]
)


@pytest.fixture
def run_id(api: Api) -> str:
    env = {"SANDBOX_RUN_SECONDS": "60", "SANDBOX_LOG": LOG, "SANDBOX_GPU_GIB": "11"}
    body = {"recipe": SCRIPT, "flavor": "a10g-small", "timeout": "5m", "env": env}
    api("PUT", "/teams/research/budget", as_="admin", json={"limit_usd": 5})
    answer = api("POST", "/runs", json=body)
    assert answer.status_code == 201, answer.text
    found: str = answer.json()["id"]
    api.world.until_end(found)
    return found


def lines(api: Api, path: str) -> list[str]:
    answer = api("GET", path)
    assert answer.status_code == 200, answer.text
    return [one["line"] for one in answer.json()["data"]]


def test_parts_of_a_log(api: Api, run_id: str) -> None:
    path = f"/runs/{run_id}/logs"
    texts = LOG.split("\n")
    assert lines(api, path) == texts
    assert lines(api, f"{path}?tail=2") == texts[-2:]
    assert lines(api, f"{path}?contains=LOADING") == texts[:1]
    at = api("GET", path).json()["data"][3]["timestamp"]
    assert lines(api, f"{path}?since={at.replace('+', '%2B')}") == texts[3:]
    assert api("GET", f"{path}?since=2026-12-01T00:00:00").json()["field"] == "since"
    assert api("GET", f"{path}?attempt=2").status_code == 404


def test_a_stream_ends_with_the_run_and_goes_on_after_any_line(api: Api, run_id: str) -> None:
    path = f"/runs/{run_id}/logs?follow=true"
    answer = api("GET", path)
    assert answer.headers["content-type"].startswith("text/event-stream")
    told = server_sent(answer.text)
    assert [data["line"] for _, _, data in told[:-1]] == LOG.split("\n")
    assert told[-1] == (None, "end", {"state": "failed"}), "its loss was NaN"
    for place, (event_id, _, _) in enumerate(told[:-1]):
        assert server_sent(api("GET", path, headers={"last-event-id": event_id}).text) == told[place + 1 :]
    assert len(server_sent(api("GET", f"{path}&tail=2").text)) == 3
    plain = api("GET", path, headers={"accept": "text/plain"})
    assert plain.text == LOG + "\n"
    assert api("GET", path, headers={"last-event-id": "x"}).json()["field"] == "Last-Event-ID"


def test_the_numbers_are_a_series(api: Api, run_id: str) -> None:
    told = api("GET", f"/runs/{run_id}/metrics").json()["data"]
    assert [(one["kind"], one["step"]) for one in told] == [("train", 10), ("train", 20), ("eval", 20), ("summary", 20)]
    assert told[0]["numbers"] == {"loss": 2.5, "grad_norm": 3.6, "learning_rate": 1e-05}
    assert (told[1]["numbers"], told[1]["not_finite"]) == ({"learning_rate": 5e-06, "step": 20}, ["loss", "grad_norm"])
    assert all(one["at"] for one in told)
    assert len(api("GET", f"/runs/{run_id}/metrics?points=2").json()["data"]) == 2
    (machine,) = api("GET", f"/runs/{run_id}/metrics?kind=machine").json()["data"][:1]
    assert machine["numbers"]["gpu_memory_bytes"] == 11 * 2**30
    assert api("GET", f"/runs/{run_id}/metrics?attempt=3").status_code == 404


def test_a_run_that_never_had_a_job_has_neither(api: Api) -> None:
    run_id = api("POST", "/runs", json={"recipe": SCRIPT, "flavor": "cpu-basic", "timeout": "5m"}).json()["id"]
    assert api("POST", f"/runs/{run_id}/cancel").is_success
    api.world.pass_all()
    assert lines(api, f"/runs/{run_id}/logs") == []
    assert server_sent(api("GET", f"/runs/{run_id}/logs?follow=true").text) == [(None, "end", {"state": "cancelled"})]
    assert api("GET", f"/runs/{run_id}/metrics").json()["data"] == []
