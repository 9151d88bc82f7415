"""Trainings that cannot work, over HTTP: each is refused at once with a code, the field to change and what to do."""

from __future__ import annotations

import json
from typing import Any

import pytest

from service.flow import prices
from tests.api.conftest import Api
from tests.factories import make_budget

MODEL = "HuggingFaceTB/SmolLM3-3B"
RECIPE: dict[str, Any] = {"kind": "trl_sft", "model_name_or_path": MODEL, "dataset_name": "trl-lib/Capybara"}
STEPS = {"max_steps": 50}


@pytest.fixture
def rich(api: Api) -> Api:
    prices.run_once(api.world.gate)
    api.world.db.write(lambda session: make_budget(session, api.world.clock.now, 10**9))
    return api


def body(args: dict[str, Any] | None = None, recipe: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    asked = {**RECIPE, "args": {**STEPS, **(args or {})}, **(recipe or {})}
    return {"recipe": asked, "flavor": "a10g-small", "timeout": "4h", "output_repo": "acme/out", **fields}


# What is sent, and the field that the problem names; the code is `invalid` but where a third says otherwise.
BAD: list[tuple[dict[str, Any], str] | tuple[dict[str, Any], str, str]] = [
    (body({"max_steps": 0}), "recipe.args.max_steps"),
    (body({"max_steps": -5}), "recipe.args.max_steps"),
    (body({"max_steps": 10**400}), "recipe.args.max_steps"),
    (body({"max_steps": -1, "num_train_epochs": 0}), "recipe.args.num_train_epochs"),
    (body({"save_steps": 1e-300}), "recipe.args.save_steps"),
    (body({"learning_rate": -1e-5}), "recipe.args.learning_rate"),
    (body({"learning_rate": 0}), "recipe.args.learning_rate"),
    (body({"learning_rate": "5e-5"}), "recipe.args.learning_rate"),
    (body({"learning_rate": 10**400}), "recipe.args.learning_rate"),
    (body({"lr": 1e-5}), "recipe.args.lr", "unknown_field"),
    (body({"per_device_train_batch_size": 0}), "recipe.args.per_device_train_batch_size"),
    (body({"per_device_train_batch_size": 10**9}), "recipe.args.per_device_train_batch_size"),
    (body({"gradient_accumulation_steps": 0}), "recipe.args.gradient_accumulation_steps"),
    (body({"adam_beta2": 1.0}), "recipe.args.adam_beta2"),
    (body({"max_length": -1}), "recipe.args.max_length"),
    (body({"seed": 2**40}), "recipe.args.seed"),
    (body({"warmup_steps": -1}), "recipe.args.warmup_steps"),
    (body({"bf16": True, "fp16": True}), "recipe.args.fp16"),
    (body({"lr_scheduler_type": "reduce_lr_on_plateau"}), "recipe.args.lr_scheduler_type"),
    (body({"load_best_model_at_end": True}), "recipe.args.load_best_model_at_end"),
    (body({"padding_free": True}), "recipe.args.padding_free"),
    (body({"max_length": None}, {"packing": True}), "recipe.args.max_length"),
    (body({"max_steps": -1, "dataset_streaming": True}), "recipe.args.max_steps"),
    (body({"optim": "galore_adamw"}), "recipe.args.optim_target_modules"),
    (body({"optim": "adamw_torch_xla"}), "recipe.args.optim"),
    (body({"deepspeed": "ds.json"}), "recipe.args.deepspeed"),
    (body({"resume_from_checkpoint": "/data/x"}, volumes=[]), "recipe.args.resume_from_checkpoint"),
    (body(None, {"chat_template_path": "./t.jinja"}), "recipe.chat_template_path"),
    (body(None, {"lora": {"target_modules": "q_proj,v_proj"}}), "recipe.lora.target_modules"),
    (body(None, {"lora": {"target_modules": "all"}}), "recipe.lora.target_modules"),
    (body(None, {"lora": {"target_modules": ["lm_head", "q_proj"]}}), "recipe.lora.target_modules"),
    (body(None, {"report_to": "wandb"}), "secrets.WANDB_API_KEY"),
    (body({"tf32": True}, flavor="t4-small"), "recipe.args.tf32"),
    (body({"fsdp": "full_shard"}), "recipe.args.fsdp"),
    (body(flavor="cpu-basic"), "flavor", "does_not_fit"),
    (body({"use_liger_kernel": True}, flavor="cpu-basic"), "flavor", "does_not_fit"),
    (body({"deepspeed": {"zero_optimization": {"stage": 2}}}, flavor="cpu-upgrade"), "flavor", "does_not_fit"),
    (body(None, {"model_name_or_path": "acme/never-seen"}, flavor="cpu-basic"), "flavor", "does_not_fit"),
    (body(pilot={"max_steps": 500}), "pilot.max_steps"),
    (body({"dtype": "bfloat16"}, {"lora": {}}, pilot={"flavor": "cpu-basic"}), "pilot.flavor", "does_not_fit"),
]


@pytest.mark.parametrize("case", BAD, ids=lambda case: f"{case[1]}-{BAD.index(case)}")
def test_it_is_refused_with_field_rule_and_remedy_and_nothing_is_stored(rich: Api, case: tuple[Any, ...]) -> None:
    sent, field, code = (*case, "invalid")[:3]
    for _ in range(2):  # before the model is known, and after
        answer = rich("POST", "/runs", json=sent)
        problem = answer.json()
        assert (answer.status_code, problem.get("code"), problem.get("field")) == (422, code, field), problem
        assert problem["detail"]
        assert len(problem["detail"]) < 400
        assert problem["remedy"].endswith((".", "?"))
        rich("POST", "/estimates", json=body())
    assert rich("GET", "/runs").json()["data"] == []


def test_all_wrong_flags_are_told_at_once(rich: Api) -> None:
    args = {"max_steps": "x", "lr": 1, "batch_size": 4, "bf16": "no", "hub_token": "x", "seed": 1}
    sent = body(args, {"lora": {"r": 8}, "eval": {"batch_size": 10**9}})
    problem = rich("POST", "/runs", json=sent).json()
    wrong = [f"recipe.args.{name}" for name in args if name != "seed"]
    assert [one["field"] for one in problem["errors"]] == [*wrong, "recipe.eval.batch_size"]
    first, second = problem["errors"][:2]
    assert (problem["field"], problem["detail"], problem["remedy"]) == (first["field"], first["rule"], first["remedy"])
    assert "'learning_rate'" in second["remedy"]
    one = rich("POST", "/runs", json=body({"bf16": True, "fp16": True})).json()
    assert one["errors"] == [{"field": one["field"], "rule": one["detail"], "remedy": one["remedy"]}]


@pytest.mark.parametrize("number", ["Infinity", "-Infinity", "NaN", "1e400"])
def test_what_is_no_number_is_refused_wherever_it_stands(rich: Api, number: str) -> None:
    for args in (
        '{"learning_rate": X}',
        '{"lr_scheduler_kwargs": {"min_lr": X}}',
        '{"optim_target_modules": ["q", X]}',
    ):
        sent = json.dumps(body()).replace(json.dumps(STEPS), args.replace("X", number))
        problem = rich("POST", "/runs", content=sent, headers={"content-type": "application/json"}).json()
        assert (problem["code"], bool(problem["remedy"])) == ("invalid", True), problem


@pytest.mark.parametrize(
    "sent",
    [
        body({"use_cpu": True}, flavor="cpu-basic"),
        body({"optim": "galore_adamw", "optim_target_modules": "all-linear"}),
        body({"deepspeed": "/data/ds.json"}, volumes=[{"type": "bucket", "source": "acme/b", "mount_path": "/data"}]),
        body({"fsdp": "full_shard"}, flavor="a10g-largex2"),
        body(None, {"report_to": "wandb"}, secrets={"WANDB_API_KEY": "x"}),
        body({"eval_on_start": True, "lr_scheduler_type": "greedy"}, {"eval": {}}, pilot={"max_steps": 5}),
        body(None, {"lora": {"target_modules": "q_proj"}}),
        body({"padding_free": True, "max_length": None}),
    ],
)
def test_its_good_twin_is_taken(rich: Api, sent: dict[str, Any]) -> None:
    answer = rich("POST", "/runs", json=sent)
    assert answer.status_code == 201, answer.json()


def test_a_timeout_that_is_changed_is_checked_as_a_new_one(rich: Api) -> None:
    lora = {"args": {"max_steps": 1000}, "lora": {"r": 8}}
    rich("POST", "/estimates", json=body(recipe=lora))  # what is known of the model, is from here on
    sent = body(recipe=lora, flavor="a10g-large")
    run_id = rich("POST", "/runs", json=sent).json()["id"]
    problem = rich("PATCH", f"/runs/{run_id}", json={"timeout": "1m"}).json()
    assert (problem["code"], problem["field"]) == ("preflight_failed", "timeout"), problem
    assert "takes about" in problem["detail"]
    assert problem["remedy"].startswith("Set timeout to ")
    assert rich("GET", f"/runs/{run_id}").json()["timeout_seconds"] == 4 * 3600
    assert rich("PATCH", f"/runs/{run_id}", json={"timeout": "5h"}).status_code == 200
    cpu = rich("PATCH", f"/runs/{run_id}", json={"flavor": "cpu-basic"}).json()
    assert (cpu["code"], cpu["field"], bool(cpu["remedy"])) == ("does_not_fit", "flavor", True)
