"""What is typed wrong: numbers beyond their range or not finite, values of another kind, names that there are not."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from service.domain.errors import Invalid, UnknownField
from service.domain.request import RunRequest
from service.domain.script import Script
from service.domain.trl.fields import Lora
from service.domain.trl.flags import Flag, described, release
from service.domain.trl.names import aliases, nearest
from service.domain.trl.ranges import ranges
from service.domain.trl_sft import TrlSft

LEAST: dict[str, Any] = {"kind": "trl_sft", "model_name_or_path": "acme/model", "dataset_name": "acme/rows"}
KNOWN = release("1.16.0")


def recipe(**fields: Any) -> TrlSft:
    return TrlSft.model_validate({**LEAST, **fields})


def refusal(**fields: Any) -> Invalid:
    with pytest.raises(Invalid) as caught:
        recipe(**fields)
    return caught.value


@pytest.mark.parametrize("name", sorted(ranges()))
@pytest.mark.parametrize("version", described())
def test_numbers_at_the_bounds_are_taken_and_those_beyond_are_not(name: str, version: str) -> None:
    known = release(version)
    if (flag := known.flags.get(name)) is None:
        return
    one = ranges()[name]
    step: float = 1 if "int" in flag.takes else 1e-9
    inside = [value for value in (one.min, one.max, *one.also) if value is not None]
    outside = [one.min - step if one.min else -step if one.min == 0 else None, one.above, one.below]
    outside += [None if one.max is None else one.max * 2 + 1, 10**400]
    for value in inside:
        assert known.refusal(name, value, "f") is None
    for beyond in outside:
        if beyond is None or one.holds(beyond):
            continue
        found = known.refusal(name, beyond, "f")
        assert found is not None
        assert found.remedy
        assert len(found.detail) < 300
    default = flag.default
    assert default is None or isinstance(default, str) or one.holds(default)


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, 10**400])
def test_numbers_that_are_not_finite_are_refused_at_any_depth(value: float) -> None:
    for args in (
        {"learning_rate": value},
        {"lr_scheduler_type": "cosine_with_min_lr", "lr_scheduler_kwargs": {"min_lr": value}},
        {"model_init_kwargs": {"a": [{"b": value}]}},
        {"optim_target_modules": ["q", value]},
    ):
        assert refusal(args=args).field == f"recipe.args.{list(args)[-1]}"


@pytest.mark.parametrize(
    ("name", "value", "remedy"),
    [
        ("learning_rate", "5e-5", "Send 5e-05, without quotes."),
        ("max_steps", "100", "Send 100, without quotes."),
        ("max_steps", 1e2, "Send 100."),
        ("packing", "True", "Send true, without quotes."),
        ("packing", 1, "Send true or false, such as false, or leave it out."),
        ("learning_rate", "fast", "Send a number, such as 2e-05, or leave it out."),
        ("lr_scheduler_type", "cosin", "Did you mean 'cosine'?"),
        ("optim", "x", "Send one of adamw_torch, "),
        ("parallelism_config", {}, "Leave it out: a job's command cannot carry it."),
    ],
)
def test_a_wrong_value_is_answered_with_what_to_send(name: str, value: object, remedy: str) -> None:
    problem = refusal(args={name: value})
    assert problem.field == f"recipe.args.{name}"
    assert str(problem.remedy).startswith(remedy)


@given(value=st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists))
@settings(max_examples=200)
def test_every_refused_value_has_a_remedy(value: object) -> None:
    for flag in KNOWN.flags.values():
        assert isinstance(flag, Flag)
        if flag.refusal(value) is not None:
            assert flag.remedy(value).endswith((".", "?"))


@pytest.mark.parametrize(
    ("typed", "remedy"),
    [
        ("lr", "Did you mean 'learning_rate'?"),
        ("torch_dtype", "Did you mean 'dtype'?"),
        ("batch_size", "Did you mean 'per_device_train_batch_size'?"),
        ("epochs", "Did you mean 'num_train_epochs'?"),
        ("max_seq_length", "Did you mean 'max_length'?"),
        ("evaluation_strategy", "Did you mean 'eval_strategy'?"),
        ("learning-rate", "Did you mean 'learning_rate'?"),
        ("--Learning_Rate=1", "Did you mean 'learning_rate'?"),
        ("lora_rank", "Give recipe.lora.r, a field beside 'args'."),
        ("group_by_length", "Write 'train_sampling_strategy': 'group_by_length'."),
        ("no_packing", "Write 'packing': false."),
        ("", "GET /recipes/trl_sft/schema lists the flags."),
    ],
)
def test_names_that_people_type_lead_to_the_right_one(typed: str, remedy: str) -> None:
    assert nearest(typed, KNOWN.flags) == remedy


@pytest.mark.parametrize(
    ("fields", "remedy"),
    [
        ({"model": "a/b"}, "Did you mean 'model_name_or_path'?"),
        ({"dataset": "a/b"}, "Did you mean 'dataset_name'?"),
        ({"learning_rate": 1e-5}, "Give 'learning_rate' in 'args'."),
        ({"epochs": 1}, "Give 'num_train_epochs' in 'args'."),
        ({"lora": {"rank": 8}}, "Did you mean 'r'?"),
        ({"lora": {"lora_alpha": 8}}, "Did you mean 'alpha'?"),
        ({"lora": {"use_dora": True}}, "Did you mean 'dora'?"),
    ],
)
def test_fields_by_other_names_and_flags_beside_args_are_led_home(fields: dict[str, Any], remedy: str) -> None:
    with pytest.raises(ValidationError) as caught:
        recipe(**fields)
    found = caught.value.errors()[0]["ctx"]["error"]
    assert (found.kind, found.remedy) == (UnknownField, remedy)


def test_every_alias_leads_to_what_there_is_and_hides_no_flag() -> None:
    known = aliases()
    for typed, flag in known["flags"].items():
        assert flag in KNOWN.flags, typed
    for typed in (*known["flags"], *known["fields"], *known["advice"]):
        assert typed not in KNOWN.flags, typed
    recipe_fields = (
        {*TrlSft.model_fields, *Script.model_fields}
        | {f"lora.{name}" for name in Lora.model_fields}
        | {"quantization.nested"}
    )
    for typed, field in known["fields"].items():
        assert field.removeprefix("recipe.") in recipe_fields | {*RunRequest.model_fields}, typed
