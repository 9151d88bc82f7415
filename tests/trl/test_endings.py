"""How real trainings end: TRL's unmodified script, started by POST /runs, and what the service says of each."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from tests.processes import Service
from tests.trl.charts import Charts

SECONDS = 400
SCRIPT = """# /// script
# dependencies = ["trl"]
# ///
import runpy

runpy.run_module("trl.scripts.sft", run_name="__main__", alter_sys=True)
"""
ARGS: dict[str, Any] = {
    "use_cpu": True,
    "max_steps": 6,
    "per_device_train_batch_size": 2,
    "logging_steps": 2,
    "save_strategy": "no",
}
ENV = {"HF_HUB_DISABLE_XET": "1", "OMP_NUM_THREADS": "1"}
# Each step multiplies the weights by a million: they are infinite after a few.
PUSHES = {"save_strategy": "steps", "save_steps": 3}  # at a checkpoint too
ABSURD = {"learning_rate": 1000, "weight_decay": 1000, "lr_scheduler_type": "constant", "logging_steps": 1}

Runs = Callable[[str], dict[str, Any]]


def trl_sft(name: str, args: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """The body of a run; what is named like a field of the recipe goes there."""
    recipe = {
        "kind": "trl_sft",
        "model_name_or_path": fields.pop("model", "acme/tiny-base"),
        "dataset_name": fields.pop("dataset", "acme/sums"),
        "dataset_revision": fields.pop("dataset_revision", None),
        "args": ARGS | (args or {}),
        "lora": fields.pop("lora", None),
        "report_to": fields.pop("report_to", "none"),
    }
    body = {"recipe": recipe, "flavor": "a10g-large", "timeout": "10m", "team": "research"}
    return {**body, "output_repo": f"acme/{name}", **fields, "env": ENV | fields.get("env", {})}


def script(model: str, dataset: str) -> dict[str, Any]:
    """The same script by a recipe of which preflight knows nothing."""
    flags = {**ARGS, "model_name_or_path": model, "dataset_name": dataset, "output_dir": "out", "report_to": "none"}
    args = [item for name, value in flags.items() for item in (f"--{name}", str(value))]
    recipe = {"kind": "script", "source": SCRIPT, "args": args}
    return {"recipe": recipe, "flavor": "a10g-large", "timeout": "10m", "team": "research", "env": ENV}


def bodies(charts: Charts) -> dict[str, dict[str, Any]]:
    """Every run, by what it shows."""
    return {
        "nan_stopped": trl_sft("nan-stopped", {**ABSURD, "max_steps": 5000, "logging_nan_inf_filter": False}),
        "full": trl_sft("full", PUSHES, dataset_revision="full"),
        "lora": trl_sft(
            "lora",
            {**PUSHES, "project": "sums", "run_name": "with-lora"},
            lora={"r": 2},
            report_to="trackio",
            secrets={"TRACKIO_SERVER_URL": charts.address},
        ),
        "nan_warned": trl_sft("nan-warned", {**ABSURD, "max_steps": 60}, guards={"nan": "warn"}),
        "diverging": trl_sft(
            "diverging", {"learning_rate": 5, "lr_scheduler_type": "constant", "logging_steps": 1, "max_steps": 30}
        ),
        "cuda_oom": trl_sft("oom", {"logging_steps": 1}, env={"SMALL_CARD": "80"}),
        "push_refused": trl_sft("sealed-403"),
        "push_broken": trl_sft("sealed-500"),
        "gated": trl_sft("gated", model="broke/tiny-gated"),
        "gated_in_the_job": script("broke/tiny-gated", "acme/sums"),
        "columns": trl_sft("columns", dataset="acme/questions"),
        "columns_in_the_job": script("acme/tiny-base", "acme/questions"),
    }


@pytest.fixture(scope="module")
def runs(service: Service, charts: Charts) -> Runs:
    """All runs are under way at once; each by its name, once it has ended."""
    ids = {}
    for name, body in bodies(charts).items():
        answer = service("POST", "/runs", body)
        assert answer.status_code == 201, answer.text
        ids[name] = answer.json()["id"]
    return lambda name: service.until_end(ids[name], SECONDS)


def log_of(service: Service, run: dict[str, Any]) -> str:
    return service("GET", f"/runs/{run['id']}/logs", accept="text/plain").text


def series(service: Service, run: dict[str, Any], kind: str = "train") -> list[dict[str, Any]]:
    points: list[dict[str, Any]] = service("GET", f"/runs/{run['id']}/metrics?kind={kind}").json()["data"]
    return points


def events(service: Service, run: dict[str, Any]) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = service("GET", f"/runs/{run['id']}/events?limit=100").json()["data"]
    return told


def assert_charged(service: Service, run: dict[str, Any]) -> None:
    """One attempt, by the started minute at the flavor's price; the rest of what was held is free."""
    [attempt] = run["attempts"]
    [flavor] = [one for one in service("GET", "/flavors").json()["data"] if one["name"] == "a10g-large"]
    assert attempt["price_per_minute_usd"] == flavor["price_per_minute_usd"] > 0
    assert attempt["minutes"] == math.ceil(attempt["running_seconds"] / 60) >= 1
    cost = round(attempt["minutes"] * attempt["price_per_minute_usd"], 6)
    assert attempt["cost_usd"] == run["cost"]["metered_usd"] == cost
    assert run["cost"]["reserved_usd"] == 0
    entries = service("GET", f"/runs/{run['id']}/ledger").json()["data"]
    moved = {entry["kind"]: entry["amount_usd"] for entry in entries}
    assert moved["charge"] == cost
    assert moved["reserve"] == pytest.approx(cost + moved["release"])


def assert_failed(service: Service, run: dict[str, Any], cause: str, evidence: str) -> str:
    """It failed of this, a line of its own log shows it, and something is to be done about it. The log."""
    log = log_of(service, run)
    failure = run["failure"] or {}
    assert (run["state"], run["reason"], failure.get("cause")) == ("failed", cause, cause), f"{failure}\n{log}"
    assert evidence in failure["evidence"], failure
    assert failure["evidence"] in log
    assert failure["remedy"]
    assert failure["message"]
    assert run["attempts"][0]["cause"] == cause
    assert_charged(service, run)
    return log


def test_all_weights_are_trained_and_a_whole_model_is_published(service: Service, runs: Runs) -> None:
    run = runs("full")
    log = log_of(service, run)
    assert run["state"] == "succeeded", f"{run['failure']}\n{log}"
    checks = {check["check"]: check["outcome"] for check in run["output"]["checks"]}
    assert checks == dict.fromkeys(("commit", "weights", "config", "tokenizer"), "passed")
    assert run["output"]["verified"] is True
    points = series(service, run)
    assert [point["step"] for point in points] == [2, 4, 6]
    for point in points:
        assert {"loss", "learning_rate", "grad_norm", "num_tokens", "epoch"} <= point["numbers"].keys()
        assert point["at"] is not None
    progress = run["progress"]
    assert (progress["step"], progress["total_steps"], progress["phase"]) == (6, 6, "push")
    assert progress["loss"] == points[-1]["numbers"]["loss"]
    [summary] = series(service, run, "summary")
    assert progress["train_seconds"] == summary["numbers"]["train_runtime"] > 0
    assert run["warnings"] == []
    assert_charged(service, run)


def test_an_adapter_is_published_and_its_charts_are_on_the_trackio_server(
    service: Service, charts: Charts, runs: Runs
) -> None:
    run = runs("lora")
    log = log_of(service, run)
    assert run["state"] == "succeeded", f"{run['failure']}\n{log}"
    files = {file["path"] for file in run["output"]["files"]}
    assert {"adapter_config.json", "adapter_model.safetensors"} <= files
    assert "model.safetensors" not in files
    assert run["output"]["verified"] is True
    assert_charged(service, run)
    # the charts have what the run has, and are linked
    losses = [point["numbers"]["loss"] for point in series(service, run)]
    logged = charts.ask("get_logs", project="sums", run="with-lora")
    theirs = [row["train/loss"] for row in logged if "train/loss" in row]
    assert theirs == pytest.approx(losses, rel=1e-3)
    assert run["progress"]["dashboard"] == charts.url
    # the token is nowhere
    shown = service("GET", f"/runs/{run['id']}").text
    assert charts.url in log
    assert run["secrets"] == ["TRACKIO_SERVER_URL"]
    for text in (log, shown, str(events(service, run))):
        assert charts.token not in text
    # where the callback would make a static Space, at each push, none was made
    assert "space" not in log.lower()


def test_a_nan_loss_stops_its_run_long_before_its_end(service: Service, runs: Runs) -> None:
    run = runs("nan_stopped")
    failure = run["failure"]
    assert (run["state"], failure["cause"]) == ("failed", "nan_loss"), f"{failure}\n{log_of(service, run)}"
    assert "Its guard 'nan' stopped it." in failure["message"]
    assert failure["evidence"] in log_of(service, run)
    assert "'loss': 'nan'" in failure["evidence"]
    assert run["progress"]["step"] < run["progress"]["total_steps"] == 5000
    assert "train_runtime" not in log_of(service, run)
    [warning] = run["warnings"]
    assert (warning["guard"], warning["policy"], warning["is_certain"]) == ("nan", "stop", True)
    # the numbers before it broke, and those that are none
    points = series(service, run)
    assert points[0]["numbers"]["loss"] > 0
    assert points[0]["not_finite"] == []
    assert any({"loss", "grad_norm"} <= {*point["not_finite"]} for point in points)
    assert (run["progress"]["loss"], run["progress"]["grad_norm"]) == (None, None)
    told = [event["type"] for event in events(service, run)]
    assert told[-2:] == ["run.warning", "run.failed"]
    assert_charged(service, run)


def test_a_nan_loss_is_told_of_and_is_no_success_though_the_job_ended_well(service: Service, runs: Runs) -> None:
    run = runs("nan_warned")
    log = assert_failed(service, run, "nan_loss", "'loss': '0', 'grad_norm': 'nan'")
    assert "Model pushed to the Hub" in log
    assert run["failure"]["retry"] == "changed"
    assert (run["progress"]["step"], run["progress"]["loss"]) == (60, None)
    assert "loss" in series(service, run)[-1]["not_finite"]
    [warning] = [event for event in events(service, run) if event["type"] == "run.warning"]
    assert warning["data"]["warning"]["guard"] == "nan"
    assert warning["data"]["state"] == "running"
    assert run["output"]["verified"] is False


def test_a_loss_that_runs_away_is_no_success(service: Service, runs: Runs) -> None:
    run = runs("diverging")
    assert_failed(service, run, "diverging", "'loss': '")
    losses = [point["numbers"]["loss"] for point in series(service, run)]
    assert len(losses) == 30
    assert max(losses[-5:]) > 2 * losses[0]


def test_a_card_that_is_full(service: Service, runs: Runs) -> None:
    run = runs("cuda_oom")
    assert_failed(service, run, "cuda_oom", "CUDA out of memory. Tried to allocate 1.96 GiB")
    points = series(service, run)
    assert points
    assert points[-1]["step"] == run["progress"]["step"] < 6
    assert run["progress"]["phase"] == "train"


@pytest.mark.parametrize(("name", "status"), [("push_refused", "403"), ("push_broken", "500")])
def test_a_model_that_cannot_be_published(service: Service, runs: Runs, name: str, status: str) -> None:
    run = runs(name)
    assert_failed(service, run, "push_failed", status)
    assert [point["step"] for point in series(service, run)] == [2, 4, 6]
    assert run["progress"]["train_seconds"] is not None


@pytest.mark.parametrize(("name", "cause"), [("gated", "gated_model"), ("columns", "dataset_format")])
def test_what_cannot_be_trained_is_refused_before_it_costs(service: Service, runs: Runs, name: str, cause: str) -> None:
    run = runs(name)
    assert (run["state"], run["failure"]["cause"], run["preflight"]["outcome"]) == ("failed", cause, "failed")
    assert (run["attempts"], run["cost"]["metered_usd"], run["hub_job"]) == ([], None, None)
    assert run["failure"]["remedy"]
    assert service("GET", f"/runs/{run['id']}/ledger").json()["data"] == []


@pytest.mark.parametrize(
    ("name", "cause", "evidence"),
    [
        ("gated_in_the_job", "gated_model", "gated"),
        ("columns_in_the_job", "dataset_format", "KeyError: 'text'"),
    ],
)
def test_what_preflight_could_not_know_of_is_told_by_the_log(
    service: Service, runs: Runs, name: str, cause: str, evidence: str
) -> None:
    run = runs(name)
    assert_failed(service, run, cause, evidence)
    assert series(service, run) == []
