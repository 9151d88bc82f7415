"""Rules between flags, ranges, places, hardware: what each refuses and names; and that nothing which the service makes
of a recipe (a preset, a pilot, a split batch) breaks one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from service.domain.errors import Invalid
from service.domain.estimate.card import CARDS, Flavor
from service.domain.pilot import Pilot, pilot_recipe
from service.domain.request import RunRequest
from service.domain.settle import _smaller_batches
from service.domain.trl.command import trl_command
from service.domain.trl.fields import Lora
from service.domain.trl.flags import described, release
from service.domain.trl.hardware import hardware_refusal
from service.domain.trl.packages import NEVER, packages_of
from service.domain.trl.places import missing_file
from service.domain.trl.preset import fill, presets
from service.domain.trl.rules import RULES, Flags, broken
from service.domain.trl_sft import TrlSft
from tests.rule_examples import EXAMPLES, Example

LEAST: dict[str, Any] = {"kind": "trl_sft", "model_name_or_path": "acme/model", "dataset_name": "acme/rows"}
BODY: dict[str, Any] = {"flavor": "a10g-large", "timeout": "1h", "output_repo": "acme/out"}
KNOWN = release("1.16.0")


def recipe(**fields: Any) -> TrlSft:
    return TrlSft.model_validate({**LEAST, **fields})


def refusal(**fields: Any) -> Invalid:
    with pytest.raises(Invalid) as caught:
        recipe(**fields)
    return caught.value


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda one: one.rule)
def test_a_rule_is_broken_by_its_bad_example_and_not_by_its_twin(example: Example) -> None:
    known = release(example.release)
    found = broken(example.bad, known)
    assert found is not None
    assert found[0].name == example.rule
    assert found[0].flag in known.flags
    assert "{" + found[0].flag not in found[1]
    assert broken(example.good, known) is None


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda one: f"{one.rule}-{one.release}")
def test_a_rule_needs_one_of_the_flags_that_it_reads(example: Example) -> None:
    rule = next(rule for rule in RULES if rule.name == example.rule)
    rest = {name: value for name, value in example.bad.items() if name not in rule.reads}
    assert not rule.judges(Flags(release(example.release), rest))


def test_every_rule_has_an_example_a_source_and_a_remedy() -> None:
    assert sorted(one.rule for one in EXAMPLES) == sorted(rule.name for rule in RULES)
    for rule in RULES:
        assert rule.source
        assert rule.remedy.endswith(".")
        assert set(rule.reads) <= {*KNOWN.flags}
        assert rule.releases is None or set(rule.releases) <= {*described()}


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"args": {"padding_free": True}}, "recipe.args.padding_free"),
        ({"packing": True, "args": {"max_length": None}}, "recipe.args.max_length"),
        ({"args": {"dataset_streaming": True}}, "recipe.args.max_steps"),
        ({"eval": {"steps": 7}, "args": {"load_best_model_at_end": True, "save_steps": 10}}, "recipe.args.save_steps"),
        ({"lora": {"target_modules": "all_linear"}}, "recipe.lora.target_modules"),
        ({"lora": {"target_modules": []}}, "recipe.lora.target_modules"),
        ({"lora": {"target_parameters": ["x"]}}, "recipe.lora.dropout"),
        ({"lora": {}, "quantization": {"storage": "int3"}}, "recipe.quantization.storage"),
        ({"lora": {}, "quantization": {"bits": 8, "nested": True}}, "recipe.quantization.bits"),
        ({"eval": {"strategy": "epoch", "steps": 3}}, "recipe.eval.steps"),
        ({"args": {"lora_r": 8}}, "recipe.args.lora_r"),
        ({"packing": True, "args": {"packing": True}}, "recipe.args.packing"),
    ],
)
def test_the_field_is_the_one_to_change_and_there_is_a_remedy(fields: dict[str, Any], field: str) -> None:
    problem = refusal(**fields)
    assert problem.field == field
    assert problem.remedy


def test_one_name_of_a_module_is_sent_as_a_list_and_a_pattern_as_it_is() -> None:
    for asked, sent in (
        ("q_proj", ["q_proj", "q_proj"]),
        (["q_proj"], ["q_proj", "q_proj"]),
        (["q_proj", "v_proj"], ["q_proj", "v_proj"]),
        ("all-linear", ["all-linear"]),
        (r".*\.q_proj", [r".*\.q_proj"]),
    ):
        assert Lora.model_validate({"target_modules": asked}).as_flags()["lora_target_modules"] == sent


def test_packages_that_flags_need_are_added() -> None:
    for optimizer, package in (
        ("galore_adamw", "galore-torch"),
        ("stable_adamw", "torch-optimi"),
        ("lomo", "lomo-optim"),
    ):
        assert packages_of({"optim": optimizer}) == [package]
    assert packages_of({"optim": "adamw_8bit", "load_in_4bit": True, "report_to": "none"}) == ["bitsandbytes"]
    assert packages_of({"optim": "adamw_torch", "deepspeed": {"a": 1}, "report_to": "wandb"}) == ["deepspeed", "wandb"]
    argv = trl_command(recipe(args={"deepspeed": {"zero_optimization": {"stage": 2}}}), "acme/out", 2)
    assert argv[argv.index("deepspeed") - 1] == "--with"
    for optimizer in NEVER:
        assert refusal(args={"optim": optimizer}).field == "recipe.args.optim"


@pytest.mark.parametrize(
    ("flags", "mounts", "flag"),
    [
        ({"deepspeed": "ds.json"}, ["/data"], "deepspeed"),
        ({"deepspeed": "/data/ds.json"}, ["/data"], None),
        ({"deepspeed": "/data/../etc/ds.json"}, ["/data"], "deepspeed"),
        ({"deepspeed": "/database/ds.json"}, ["/data"], "deepspeed"),
        ({"deepspeed": {"zero_optimization": {}}}, [], None),
        ({"deepspeed": '{"zero_optimization": {}}'}, [], None),
        ({"fsdp_config": "fsdp.json"}, [], "fsdp_config"),
        ({"accelerator_config": "/x.json"}, [], "accelerator_config"),
        ({"resume_from_checkpoint": "/data"}, ["/data"], None),
        ({"resume_from_checkpoint": "last-checkpoint"}, [], "resume_from_checkpoint"),
        ({"chat_template_path": "acme/model"}, [], None),
        ({"chat_template_path": "./template.jinja"}, [], "chat_template_path"),
        ({"chat_template_path": "{{ messages }}"}, [], "chat_template_path"),
        ({"chat_template_path": "/data/template.jinja"}, ["/data"], None),
    ],
)
def test_a_file_can_be_there_only_below_a_mount(flags: dict[str, Any], mounts: list[str], flag: str | None) -> None:
    found = missing_file(flags, mounts)
    assert (None if found is None else found[0]) == flag


@pytest.mark.parametrize(
    ("flags", "flavor", "flag"),
    [
        ({"tf32": True}, Flavor("t4-small", 1, CARDS["T4"], 1), "tf32"),
        ({"tf32": True}, Flavor("l4x1", 1, CARDS["L4"], 1), None),
        ({"attn_implementation": "flash_attention_2"}, Flavor("t4-small", 1, CARDS["T4"], 1), "attn_implementation"),
        ({"attn_implementation": "kernels-community/flash-attn2"}, Flavor("l4x1", 1, CARDS["L4"], 1), None),
        ({"attn_implementation": "sdpa"}, Flavor("t4-small", 1, CARDS["T4"], 1), None),
        ({"fsdp": "full_shard"}, Flavor("l4x1", 1, CARDS["L4"], 1), "fsdp"),
        ({"fsdp": "full_shard"}, Flavor("l4x4", 1, CARDS["L4"], 4), None),
        ({"optim": "galore_adamw_layerwise"}, Flavor("l4x4", 1, CARDS["L4"], 4), "optim"),
        ({"ddp_backend": "mpi"}, Flavor("l4x4", 1, CARDS["L4"], 4), "ddp_backend"),
        ({"ddp_backend": "gloo"}, Flavor("l4x4", 1, CARDS["L4"], 4), None),
        ({"activation_offloading": True, "use_cpu": True}, Flavor("cpu-basic", 1), "activation_offloading"),
        ({"tf32": True, "use_cpu": True}, Flavor("cpu-basic", 1), "tf32"),
        ({"use_liger_kernel": True, "use_cpu": True}, Flavor("cpu-basic", 1), "use_liger_kernel"),
        ({"use_liger_kernel": True}, Flavor("l4x1", 1, CARDS["L4"], 1), None),
        ({"tf32": True}, Flavor("cpu-basic", 1), None),
        ({}, Flavor("cpu-basic", 1), None),
    ],
)
def test_what_flags_ask_of_a_flavor(flags: dict[str, Any], flavor: Flavor, flag: str | None) -> None:
    found = hardware_refusal(flags, flavor)
    assert (None if found is None else found[0].flag) == flag


def request(**fields: Any) -> RunRequest:
    return RunRequest.model_validate({**BODY, "recipe": LEAST, **fields})


def test_a_report_to_wandb_needs_a_key() -> None:
    wandb = {**LEAST, "report_to": "wandb"}
    with pytest.raises(Invalid) as caught:
        request(recipe=wandb)
    assert caught.value.field == "secrets.WANDB_API_KEY"
    for there in ({"secrets": {"WANDB_API_KEY": "x"}}, {"env": {"WANDB_MODE": "offline"}}):
        request(recipe=wandb, **there)
    with pytest.raises(Invalid) as caught:
        request(recipe={**LEAST, "report_to": "trackio", "args": {"trackio_space_id": "a/b/c"}})
    assert caught.value.field == "recipe.args.trackio_space_id"


SERVER, TOKEN = "http://10.0.0.7:7860/", "fJ3kQ9zX1vB7nM5pL2sD"


@pytest.mark.parametrize(
    "there",
    [
        {"secrets": {"TRACKIO_SERVER_URL": f"{SERVER}?write_token={TOKEN}"}},
        {"secrets": {"TRACKIO_SERVER_URL": SERVER, "TRACKIO_WRITE_TOKEN": TOKEN}},
        {"env": {"TRACKIO_SERVER_URL": SERVER}, "secrets": {"TRACKIO_WRITE_TOKEN": TOKEN}},
        {},
    ],
)
def test_a_trackio_server_comes_with_its_token(there: dict[str, Any]) -> None:
    request(recipe={**LEAST, "report_to": "trackio"}, **there)


@pytest.mark.parametrize(
    ("there", "args", "field"),
    [
        ({"secrets": {"TRACKIO_SERVER_URL": SERVER}}, {}, "secrets.TRACKIO_WRITE_TOKEN"),
        ({"env": {"TRACKIO_SERVER_URL": SERVER}}, {}, "secrets.TRACKIO_WRITE_TOKEN"),
        ({"secrets": {"TRACKIO_SERVER_URL": f"{SERVER}?write_token="}}, {}, "secrets.TRACKIO_WRITE_TOKEN"),
        ({"env": {"TRACKIO_SERVER_URL": f"{SERVER}?write_token={TOKEN}"}}, {}, "env.TRACKIO_SERVER_URL"),
        ({"secrets": {"TRACKIO_SERVER_URL": "10.0.0.7:7860"}}, {}, "secrets.TRACKIO_SERVER_URL"),
        ({"secrets": {"TRACKIO_SERVER_URL": "http://[::1/?write_token=x"}}, {}, "secrets.TRACKIO_SERVER_URL"),
        ({"secrets": {"TRACKIO_SERVER_URL": "http://h:99999/?write_token=x"}}, {}, "secrets.TRACKIO_SERVER_URL"),
        (
            {"secrets": {"TRACKIO_SERVER_URL": f"{SERVER}?write_token={TOKEN}"}},
            {"trackio_space_id": "acme/charts"},
            "recipe.args.trackio_space_id",
        ),
        (
            {"secrets": {"TRACKIO_SERVER_URL": f"{SERVER}?write_token={TOKEN}"}},
            {"trackio_bucket_id": "acme/charts"},
            "recipe.args.trackio_bucket_id",
        ),
    ],
)
def test_a_trackio_server_that_would_take_nothing_is_refused(
    there: dict[str, Any], args: dict[str, Any], field: str
) -> None:
    with pytest.raises(Invalid) as caught:
        request(recipe={**LEAST, "report_to": "trackio", "args": args}, **there)
    assert caught.value.field == field
    assert TOKEN not in f"{caught.value.detail}{caught.value.remedy}"


def test_a_pilot_is_shorter_than_its_run() -> None:
    short = {**LEAST, "args": {"max_steps": 10}}
    for pilot in ({}, {"max_steps": 10}):
        with pytest.raises(Invalid) as caught:
            request(recipe=short, pilot=pilot)
        assert caught.value.field == "pilot.max_steps"
    request(recipe=short, pilot={"max_steps": 9})
    request(pilot={"max_steps": 1000})


# Values that a recipe may hold; which of them go together, the rules say.
FREE = st.fixed_dictionaries(
    {},
    optional={
        "max_steps": st.integers(21, 5000),
        "num_train_epochs": st.floats(0.1, 5),
        "learning_rate": st.floats(1e-7, 1),
        "lr_scheduler_type": st.sampled_from(KNOWN.flags["lr_scheduler_type"].choices),
        "lr_scheduler_kwargs": st.sampled_from([{}, {"num_cycles": 0.5}, {"min_lr_rate": 0.1}, {"num_decay_steps": 9}]),
        "optim": st.sampled_from(KNOWN.flags["optim"].choices),
        "optim_target_modules": st.just("all-linear"),
        "per_device_train_batch_size": st.sampled_from([1, 2, 16]),
        "gradient_accumulation_steps": st.sampled_from([1, 2, 8]),
        "max_length": st.none() | st.integers(64, 8192),
        "packing": st.booleans(),
        "padding_free": st.booleans(),
        "dataset_streaming": st.booleans(),
        "bf16": st.booleans(),
        "fp16": st.booleans(),
        "dtype": st.sampled_from(["float16", "bfloat16", "float32"]),
        "eval_strategy": st.sampled_from(["no", "steps", "epoch"]),
        "eval_steps": st.integers(1, 50) | st.floats(0.01, 0.5),
        "eval_on_start": st.booleans(),
        "eval_packing": st.booleans(),
        "load_best_model_at_end": st.booleans(),
        "metric_for_best_model": st.sampled_from(["loss", "entropy"]),
        "greater_is_better": st.booleans(),
        "save_strategy": st.sampled_from(["no", "steps", "epoch", "best"]),
        "save_steps": st.integers(1, 50) | st.floats(0.01, 0.5),
        "save_only_model": st.booleans(),
        "logging_steps": st.integers(1, 50) | st.floats(0.01, 0.5),
        "deepspeed": st.just({"zero_optimization": {"stage": 3}}),
        "fsdp": st.sampled_from(["full_shard", "shard_grad_op auto_wrap"]),
        "dataloader_num_workers": st.integers(0, 4),
        "dataloader_prefetch_factor": st.integers(1, 4),
        "gradient_checkpointing": st.booleans(),
        "gradient_checkpointing_kwargs": st.sampled_from([{"use_reentrant": True}, {"selective": True}]),
        "warmup_steps": st.sampled_from([0, 0.03, 100]),
        "use_cpu": st.booleans(),
    },
)
FAMILIES = sorted({one.family for one in presets() if one.family})


def valid(args: dict[str, Any], **fields: Any) -> TrlSft:
    try:
        return recipe(args=args, **fields)
    except Invalid:
        assume(False)
        raise


@given(
    args=FREE,
    lora=st.none() | st.just({}),
    family=st.sampled_from(FAMILIES),
    flavor=st.sampled_from(["t4-small", "l4x1"]),
)
@settings(max_examples=400, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
def test_what_the_service_makes_of_a_valid_recipe_is_valid(
    args: dict[str, Any], lora: dict[str, Any] | None, family: str, flavor: str
) -> None:
    # half of the flags as drawn break a rule: those that do are left out until none is broken
    while (found := broken({**args, **({"use_peft": True} if lora is not None else {})}, KNOWN)) is not None:
        args = {name: value for name, value in args.items() if name not in found[0].reads}
    asked = valid(args, lora=lora, preset="auto")
    filled = fill(asked, flavor, family)
    assert broken(filled.flags(), KNOWN) is None
    for name, value in filled.flags().items():
        if value is not None and name != "report_to":
            assert KNOWN.refusal(name, value, "f") is None
    pilot = pilot_recipe(filled, Pilot())
    assert broken(pilot.flags(), KNOWN) is None
    assert broken(fill(pilot, flavor, family).flags(), KNOWN) is None
    for smaller in _smaller_batches(filled, 1):
        assert broken(smaller.flags(), KNOWN) is None


@pytest.mark.parametrize(
    "args",
    [
        {"eval_strategy": "steps", "lr_scheduler_type": "reduce_lr_on_plateau"},
        {"eval_strategy": "steps", "lr_scheduler_type": "greedy", "lr_scheduler_kwargs": {"patience": 3}},
        {"eval_strategy": "steps", "eval_on_start": True},
        {"eval_strategy": "epoch", "save_strategy": "epoch", "load_best_model_at_end": True},
        {"eval_strategy": "steps", "save_strategy": "best", "metric_for_best_model": "loss"},
        {"lr_scheduler_type": "warmup_stable_decay", "lr_scheduler_kwargs": {"num_decay_steps": 100}},
        {"resume_from_checkpoint": "/data/checkpoint-100"},
    ],
)
def test_a_pilot_keeps_nothing_that_needs_what_it_leaves_out(args: dict[str, Any]) -> None:
    pilot = pilot_recipe(recipe(args=args), Pilot())
    assert pilot.args == {"eval_strategy": "no", "save_strategy": "no", "max_steps": 20}
