"""TRL's own script, unmodified, really trains in the sandbox: on both processes of a flavor with two GPUs."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from service.domain.trl.batch import effective_batch
from service.domain.trl.flags import release
from tests.processes import Service
from tests.trl.place import ROWS

RECIPE: dict[str, Any] = {
    "kind": "trl_sft",
    "model_name_or_path": "acme/tiny-base",
    "dataset_name": "acme/sums",
    "args": {"use_cpu": True, "max_steps": 8, "per_device_train_batch_size": 2, "logging_steps": 4},
}
ENV = {"GLOO_SOCKET_IFNAME": "lo", "HF_HUB_DISABLE_XET": "1"}  # processes on one machine meet on loopback


HALF, TENTH = f"train[:{ROWS // 2}]", "train[:10%]+train[-2:]"
RECIPES: dict[str, dict[str, Any]] = {
    "whole": {"dataset_revision": "full", "report_to": "trackio", "lora": {"r": 2}},
    "part": {
        "args": RECIPE["args"] | {"max_steps": 4},
        "dataset_revision": "full",
        "dataset_train_split": HALF,
        "eval": {"split": TENTH, "steps": 4},
    },
    "pairs": {"dataset_name": "acme/pairs", "eval": {"steps": 4}},
}
Ended = Callable[[str], tuple[dict[str, Any], str]]


@pytest.fixture(scope="module")
def ended(service: Service) -> Ended:
    """All are under way at once; each run by its name after its end, and its log.

    gloo, which connects CPU processes, now and then never lets one of them exit when all is done: torch 2.13 waits in
    ~ProcessGroupGloo for a thread of its own. GPUs use NCCL. Such a job, its model published, is ended by its timeout:
    what it learned is looked at all the same."""
    ids = {}
    for name, recipe in RECIPES.items():
        body = {"recipe": {**RECIPE, **recipe}, "flavor": "a10g-largex2", "timeout": "3m", "env": ENV}
        answer = service("POST", "/runs", {**body, "team": "research", "output_repo": f"acme/two-{name}"})
        assert answer.status_code == 201, answer.text
        ids[name] = answer.json()["id"]

    def after_its_end(name: str) -> tuple[dict[str, Any], str]:
        run = service.until_end(ids[name], seconds=400)
        log = service("GET", f"/runs/{run['id']}/logs", accept="text/plain").text
        assert "Model pushed to the Hub" in log, log
        assert run["state"] == "succeeded" or run["reason"] == "job_timeout", run
        if run["state"] == "succeeded":
            checks = {check["check"]: check["outcome"] for check in run["output"]["checks"]}
            assert checks == dict.fromkeys(("commit", "weights", "config", "tokenizer"), "passed")
        return run, log

    return after_its_end


def test_both_processes_learn_and_the_model_is_published(ended: Ended) -> None:
    run, log = ended("whole")
    assert run["output"]["verified"] is (run["state"] == "succeeded")
    batch = effective_batch(RECIPE["args"], release("1.16.0"), gpus=2)
    assert batch == 4
    # A row belongs to one process: with one alone, eight steps of two rows would be a quarter of the rows.
    [*_, epoch] = re.findall(r"'epoch': '([\d.]+)'", log)
    assert float(epoch) == 8 * batch / ROWS == 0.5


def test_a_part_of_a_split_is_what_is_learned_and_another_what_is_evaluated(ended: Ended) -> None:
    _, log = ended("part")
    # four steps of two rows on each of two processes are half of the half
    assert float(re.findall(r"'epoch': '([\d.]+)'", log)[-1]) == 4 * 4 / (ROWS // 2) == 0.5
    assert len(re.findall(r"'eval_loss': '[\d.]+'", log)) == 1


def test_pairs_of_prompt_and_completion_are_learned_from_the_newest_commit_and_evaluated(ended: Ended) -> None:
    _, log = ended("pairs")
    assert float(re.findall(r"'epoch': '([\d.]+)'", log)[-1]) == 0.5
    assert len(re.findall(r"'eval_loss': '[\d.]+'", log)) == 2
