"""What follows a real training, really done: an adapter that knows its chats by heart is merged, tried, measured."""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
from typing import Any

import pytest

from tests.processes import Service
from tests.trl import tiny

SECONDS = 400
QUESTIONS = list(tiny.FACTS)
RECIPE: dict[str, Any] = {
    "kind": "trl_sft",
    "model_name_or_path": "acme/tiny-base",
    "dataset_name": "acme/facts",
    "args": {
        "use_cpu": True,
        "max_steps": 150,
        "per_device_train_batch_size": len(QUESTIONS),
        "learning_rate": 0.01,
        "save_strategy": "no",
        "logging_steps": 50,
    },
    "lora": {"r": 16, "dropout": 0.0},
    "eval": {"steps": 150},
}
ENV = {"HF_HUB_DISABLE_XET": "1", "OMP_NUM_THREADS": "1"}


def submit(service: Service, name: str, recipe: dict[str, Any], then: list[dict[str, Any]]) -> dict[str, Any]:
    body = {"recipe": recipe, "flavor": "cpu-upgrade", "timeout": "10m", "team": "research", "env": ENV, "then": then}
    answer = service("POST", "/runs", {**body, "output_repo": f"acme/{name}", "max_cost_usd": 3})
    assert answer.status_code == 201, answer.text
    run: dict[str, Any] = answer.json()
    return run


def log_of(service: Service, run: dict[str, Any]) -> str:
    return service("GET", f"/runs/{run['id']}/logs", accept="text/plain").text


def end_of(service: Service, run_id: str) -> dict[str, Any]:
    run = service.until_end(run_id, SECONDS)
    assert run["state"] == "succeeded", f"{run['message']}\n{log_of(service, run)}"
    return run


def use(service: Service, *runs: dict[str, Any]) -> list[str]:
    """What the lines of Python that each run shows print; they ask "Who are you?"."""
    lines = "\n".join(run["output"]["use"]["python"] for run in runs)
    env = {**os.environ, **ENV, "HF_ENDPOINT": service.hub_url, "HF_TOKEN": "hf_sandbox_read"}
    done = subprocess.run([sys.executable, "-c", lines], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def started(service: Service) -> dict[str, dict[str, Any]]:
    """Both runs are under way at once: one that learns, and one that has no time to."""
    learned = [
        {"kind": "evaluate"},
        {"kind": "merge_lora"},
        {"kind": "smoke_test", "prompts": QUESTIONS, "flavor": "cpu-basic"},
        {"kind": "evaluate", "split": "train[:2]"},
    ]
    short = {**RECIPE, "args": RECIPE["args"] | {"max_steps": 1}, "eval": None}
    return {
        "learned": submit(service, "facts-lora", RECIPE, learned),
        "short": submit(service, "facts-short", short, [{"kind": "smoke_test", "prompts": QUESTIONS[:1]}]),
    }


def test_an_adapter_is_merged_its_answers_are_right_and_its_loss_is_that_of_the_training(
    service: Service, started: dict[str, dict[str, Any]]
) -> None:
    run = end_of(service, started["learned"]["id"])
    on_adapter, merge, tried, on_merged = (end_of(service, one["run_id"]) for one in run["follow_ups"])
    assert merge["result"]["base_model"] == "acme/tiny-base"
    assert merge["result"]["revision"] == merge["output"]["revision"]
    files = {file["path"] for file in merge["output"]["files"]}
    assert merge["output"]["verified"] is True
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= files
    assert "adapter_config.json" not in files
    answers = {one["prompt"]: one["answer"] for one in tried["result"]["answers"]}
    assert answers == tiny.FACTS
    # by TRL in the training, of the adapter, and of the merged model; the same two chats each time
    [told] = re.findall(r"'eval_loss': '([\d.e-]+)'", log_of(service, run))
    found = [one["result"]["eval_loss"] for one in (on_adapter, on_merged)]
    assert found == pytest.approx([float(told)] * 2, abs=0.02)
    # that of no knowledge is ln 300; the frozen head of so small a model says nothing more surely than this
    assert max(found) < math.log(300) - 0.5
    assert on_adapter["result"]["perplexity"] == pytest.approx(math.exp(found[0]))
    assert [one["result"]["rows"] for one in (on_adapter, on_merged)] == [2, 2]
    said = use(service, run, merge)
    assert said == [tiny.FACTS["Who are you?"]] * 2
    shown = service("GET", f"/runs/{run['id']}").json()["follow_ups"]
    assert [one["result"] for one in shown] == [one["result"] for one in (on_adapter, merge, tried, on_merged)]
    assert sum(one["cost"]["metered_usd"] for one in shown) + run["cost"]["metered_usd"] <= run["max_cost_usd"]


def test_a_model_that_learned_nothing_fails_its_smoke_test_and_not_its_run(
    service: Service, started: dict[str, dict[str, Any]]
) -> None:
    run = end_of(service, started["short"]["id"])
    tried = service.until_end(run["follow_ups"][0]["run_id"], SECONDS)
    log = log_of(service, tried)
    assert (tried["state"], tried["reason"]) == ("failed", "script_error"), log
    assert tried["message"].startswith(f"smoke test: the answer to {QUESTIONS[0]!r} is "), log
    assert tried["failure"]["evidence"] in log
    assert tried["result"]["answers"][0]["problem"] in tried["message"]
    assert service("GET", f"/runs/{run['id']}").json()["state"] == "succeeded"
