"""Real trainings that fail and go on: a full card, a timeout, a refused push, a pause; and what is not repaired."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.processes import Service
from tests.trl.test_endings import SCRIPT, series, trl_sft

SECONDS = 600
SAVES = {"save_strategy": "steps", "save_steps": 10, "logging_steps": 10, "max_steps": 150}
SLOWLY = {"env": {"SLOW": "0.4"}, "checkpoints": "on"}
# its steps alone take longer than its job may
LONGER = {**SAVES, "max_steps": 240}
FEW_ROWS = {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 2, "max_steps": 2, "logging_steps": 1}
BUG = {"kind": "script", "source": SCRIPT.replace("runpy.run_module", "runpi.run_module")}

Runs = Callable[[str], dict[str, Any]]


def bodies() -> dict[str, dict[str, Any]]:
    """Every run, by what it shows."""
    return {
        "timeout": trl_sft("went-on", LONGER, retry={"max_attempts": 2}, **SLOWLY, timeout="90s"),
        "paused": trl_sft("paused", SAVES, **SLOWLY),
        "ladder": trl_sft("climbed", FEW_ROWS, env={"SMALL_CARD_ROWS": "1"}, retry={"max_attempts": 4}),
        "cap": trl_sft("capped", FEW_ROWS, env={"SMALL_CARD_ROWS": "1"}, retry={"max_attempts": 4}, max_cost_usd=0.28),
        "unpublished": trl_sft("sealed-403", {"save_strategy": "steps", "save_steps": 3}, checkpoints="on"),
        "bug": {"recipe": BUG, "flavor": "a10g-large", "timeout": "10m", "team": "research", "retry": {}},
    }


@pytest.fixture(scope="module")
def ids(service: Service) -> dict[str, str]:
    """All are under way at once."""
    found = {}
    for name, body in bodies().items():
        answer = service("POST", "/runs", body)
        assert answer.status_code == 201, answer.text
        found[name] = answer.json()["id"]
    return found


@pytest.fixture(scope="module")
def runs(service: Service, ids: dict[str, str]) -> Runs:
    """Each by its name, once it has ended."""
    return lambda name: service.until_end(ids[name], SECONDS)


def show(service: Service, run_id: str) -> dict[str, Any]:
    found: dict[str, Any] = service("GET", f"/runs/{run_id}").json()
    return found


def until(service: Service, run_id: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    stops_at = time.monotonic() + SECONDS
    while time.monotonic() < stops_at:
        run = show(service, run_id)
        if holds(run):
            return run
        assert not run["is_terminal"], run
        time.sleep(0.5)
    raise AssertionError(show(service, run_id))


def assert_whole(service: Service, run: dict[str, Any], steps: int) -> None:
    """It succeeded, its model is there, and the steps of its attempts make all of them, each once."""
    assert run["state"] == "succeeded", run["failure"]
    assert run["output"]["verified"] is True
    assert (run["progress"]["step"], run["progress"]["total_steps"]) == (steps, steps)
    last = run["attempts"][-1]
    told = [point["step"] for point in series(service, run)]
    assert told == list(range(last["from_step"] + 10, steps + 1, 10))
    assert run["cost"]["metered_usd"] == pytest.approx(sum(one["cost_usd"] for one in run["attempts"]))


def test_a_pause_stops_it_and_it_goes_on_from_its_checkpoint(service: Service, ids: dict[str, str]) -> None:
    run_id = ids["paused"]
    until(service, run_id, lambda run: run["checkpoints"]["newest"] is not None)
    assert service("POST", f"/runs/{run_id}/pause").is_success
    held = until(service, run_id, lambda run: run["state"] == "queued")
    assert (held["reason"], held["cost"]["reserved_usd"]) == ("paused", 0)
    assert held["attempts"][0]["cost_usd"] > 0
    assert service("POST", f"/runs/{run_id}/resume").is_success
    run = service.until_end(run_id, SECONDS)
    assert_whole(service, run, 150)
    assert run["attempts"][1]["from_step"] >= held["checkpoints"]["newest"]["step"]
    assert run["attempts"][0]["change"].startswith("paused; it goes on from the checkpoint at step ")


def test_a_timeout_goes_on_from_its_checkpoint_to_the_same_number_of_steps(service: Service, runs: Runs) -> None:
    run = runs("timeout")
    assert [one["cause"] for one in run["attempts"]] == ["job_timeout", None], (run["message"], run["checkpoints"])
    assert_whole(service, run, 240)
    [setting] = run["attempts"][0]["repair"]["settings"]
    assert (setting["field"], setting["from"], setting["to"] % 300) == ("timeout", 90, 0)
    assert run["attempts"][0]["repair"]["ceiling_usd"] > 0


def test_a_full_card_is_repaired_with_the_effective_batch_kept(service: Service, runs: Runs) -> None:
    run = runs("ladder")
    assert run["state"] == "succeeded", run["failure"]
    assert [one["cause"] for one in run["attempts"]] == ["cuda_oom", "cuda_oom", None]
    splits = [[setting["to"] for setting in one["repair"]["settings"]] for one in run["attempts"][:2]]
    assert splits == [[2, 4], [1, 8]]
    assert all("8 rows per step, as before" in one["change"] for one in run["attempts"][:2])
    assert all(one["repair"]["ceiling_usd"] == pytest.approx(11 * 0.025) for one in run["attempts"][:2])
    assert run["output"]["verified"] is True


def test_a_ladder_stops_at_the_runs_cap(runs: Runs) -> None:
    run = runs("cap")
    assert (run["state"], run["reason"], len(run["attempts"])) == ("failed", "cuda_oom", 1)
    assert run["failure"]["not_repaired"].startswith("of max_cost_usd $0.28, $0.0")
    assert run["failure"]["repair"]["settings"][0]["to"] == 2


def test_a_model_that_could_not_be_published_is_rescued(service: Service, runs: Runs) -> None:
    run = runs("unpublished")
    assert (run["state"], run["reason"]) == ("failed", "push_failed")
    assert run["failure"]["rescue"]["ceiling_usd"] < 0.01
    answer = service("POST", f"/runs/{run['id']}/rescue", {"output_repo": "acme/rescued"})
    assert answer.status_code == 201, answer.text
    child = service.until_end(answer.json()["id"], SECONDS)
    assert child["state"] == "succeeded", child["failure"]
    assert {check["outcome"] for check in child["output"]["checks"]} == {"passed"}
    files = {file["path"] for file in child["output"]["files"]}
    assert {"model.safetensors", "config.json", "tokenizer.json"} <= files
    assert not any("checkpoint" in name or "optimizer" in name for name in files)
    after = show(service, run["id"])
    assert (after["state"], after["output"]["repo"], after["output"]["verified"]) == ("failed", "acme/rescued", True)


def test_a_mistake_of_ones_own_is_never_tried_again(runs: Runs) -> None:
    run = runs("bug")
    assert (run["state"], run["reason"], len(run["attempts"])) == ("failed", "script_error", 1)
    assert (run["failure"]["repair"], run["failure"]["not_repaired"]) == (None, None)
