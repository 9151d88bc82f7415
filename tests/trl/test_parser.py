"""The commands of jobs, read by the real parser of the installed TRL: it understands what the recipe said."""

from __future__ import annotations

import json
import subprocess
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
import trl
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from trl import DatasetMixtureConfig, ModelConfig, ScriptArguments, SFTConfig, TrlParser

from service.domain import job
from service.domain.recipe import Recipe
from service.domain.script import Script
from service.domain.trl.flags import Flag, kind_of, release
from service.domain.trl.owned import OWNED_FLAGS
from service.domain.trl.preset import fill, presets
from service.domain.trl_sft import STORED, TrlSft

RELEASE = release(trl.__version__)
FREE = {name: flag for name, flag in RELEASE.flags.items() if name not in OWNED_FLAGS and flag.takes}
ADAPTER: TypeAdapter[TrlSft | Script] = TypeAdapter(Recipe)
LEAST = {
    "kind": "trl_sft",
    "model_name_or_path": "acme/model",
    "dataset_name": "acme/rows",
    "trl_version": RELEASE.version,
}


def recipe_of(**fields: Any) -> TrlSft:
    # as stored: it is what the command says that is looked at here, not which values go together
    recipe = ADAPTER.validate_python({**LEAST, **fields}, context=STORED)
    assert isinstance(recipe, TrlSft)
    return recipe


def new_parser() -> TrlParser:
    return TrlParser((ScriptArguments, SFTConfig, ModelConfig, DatasetMixtureConfig))


def script_arguments(command: tuple[str, ...]) -> tuple[list[str], dict[str, Any]]:
    """What reaches the script: its arguments, and what the config file holds."""
    config = {}
    if command[:2] == ("bash", "-c"):
        config, command = json.loads(command[4]), command[5:]
    at = next(index for index, item in enumerate(command) if item == "--model_name_or_path")
    return list(command[at:]), config


def parsed(recipe: TrlSft, gpus: int = 1) -> Namespace:
    """The values that the script would see; nothing is left over."""
    arguments, config = script_arguments(job.command(recipe, "acme/out", gpus))
    parser = new_parser()
    assert parser.set_defaults_with_config(**config) == []
    seen, unknown = parser.parse_known_args(arguments)
    assert unknown == []
    return seen


def text() -> st.SearchStrategy[str]:
    return st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)


def values(flag: Flag) -> st.SearchStrategy[Any]:
    """Values that a flag takes."""
    numbers = st.floats(allow_nan=False, allow_infinity=False)
    item = st.sampled_from(flag.choices) if flag.choices else text().filter(lambda one: not one.startswith("-"))
    kinds: dict[str, st.SearchStrategy[Any]] = {
        "bool": st.booleans(),
        "int": st.integers(-(2**63), 2**63),
        "float": numbers | st.integers(-(2**53), 2**53),
        "text": st.sampled_from(flag.choices) if flag.choices else text(),
        "object": st.dictionaries(text(), st.none() | st.booleans() | st.integers() | numbers | text(), max_size=3),
        "list": st.lists(item, min_size=1, max_size=3),
    }
    return st.one_of([kinds[kind] for kind in flag.takes] + ([st.none()] if flag.null else []))


def samples(flag: Flag) -> list[Any]:
    """One value of each kind that a flag takes; of booleans and choices, all."""
    text_samples = list(flag.choices) or ["x", "-x", "--push_to_hub", "a b", "None", "{}", "'\""]
    kinds: dict[str, list[Any]] = {
        "bool": [True, False],
        "int": [0, -1, 7],
        "float": [0.0, 1e-05, -2.5, 1e300, 3],
        "text": text_samples,
        "object": [{}, {"a": [1, {"b": None}], "c": "d"}],
        "list": [[str(flag.choices[0] if flag.choices else "x")], *([["a", "b c"]] if not flag.choices else [])],
    }
    return [value for kind in flag.takes for value in kinds[kind]] + ([None] if flag.null else [])


@pytest.mark.parametrize("name", FREE)
def test_every_value_of_every_flag_arrives(name: str) -> None:
    for value in samples(FREE[name]):
        assert getattr(parsed(recipe_of(args={name: value})), name) == value, (name, value)


@settings(max_examples=60)
@given(args=st.fixed_dictionaries({}, optional={name: values(flag) for name, flag in FREE.items()}))
def test_any_flags_together_arrive(args: dict[str, Any]) -> None:
    seen = parsed(recipe_of(args=args, report_to="trackio"), gpus=4)
    assert {name: getattr(seen, name) for name in args} == args
    assert seen.trackio_static_space_id is False
    assert (seen.hub_model_id, seen.push_to_hub) == ("acme/out", True)


@pytest.mark.parametrize("name", FREE)
def test_what_is_refused_would_have_failed_in_the_job(name: str) -> None:
    flag = FREE[name]
    wrong = "abc" if flag.choices or flag.parses != "text" else None
    if wrong is None:
        return
    assert flag.refusal(wrong) is not None
    if flag.takes != ("object",):  # a dict parsed out of a text is an error of another kind
        with pytest.raises(SystemExit):
            new_parser().parse_known_args([f"--{name}", wrong])


def test_an_abbreviation_that_the_parser_takes_is_refused_here() -> None:
    seen, unknown = new_parser().parse_known_args(["--learning_rat", "1"])
    assert (seen.learning_rate, unknown) == (1.0, [])
    assert "learning_rat" not in RELEASE.flags


def test_fields_arrive_as_the_flags_that_they_stand_for() -> None:
    seen = parsed(
        recipe_of(
            model_revision="v1",
            dataset_config="en",
            dataset_train_split="part",
            chat_template_path="acme/chat",
            packing=True,
            lora={"r": 4, "alpha": 8, "target_modules": ["q", "v"], "modules_to_save": ["lm_head"], "dora": True},
            quantization={"nested": True, "storage": "bfloat16"},
            eval={"steps": 7, "split": "held"},
        )
    )
    wanted = {"model_revision": "v1", "dataset_config": "en", "dataset_train_split": "part", "packing": True}
    wanted |= {"chat_template_path": "acme/chat", "use_peft": True, "lora_r": 4, "lora_alpha": 8, "use_dora": True}
    wanted |= {"lora_target_modules": ["q", "v"], "lora_modules_to_save": ["lm_head"], "load_in_4bit": True}
    wanted |= {"bnb_4bit_quant_type": "nf4", "use_bnb_nested_quant": True, "bnb_4bit_quant_storage": "bfloat16"}
    wanted |= {"eval_strategy": "steps", "eval_steps": 7.0, "dataset_test_split": "held"}
    assert {name: getattr(seen, name) for name in wanted} == wanted


@pytest.mark.parametrize("preset", presets(), ids=lambda preset: preset.name)
def test_presets_hold_flags_and_values_that_the_release_takes(preset: Any) -> None:
    mode = {"lora": {}} if preset.mode == "lora" else {}
    flavor = preset.flavors[0] if preset.flavors else "l4x1"
    filled = fill(recipe_of(preset="auto", **mode), flavor, family=preset.family, gpus=preset.gpus or 1)
    assert filled.filled is not None
    assert preset.name in str(filled.filled.preset)
    seen = parsed(filled)
    assert {name: getattr(seen, name) for name in preset.args} == preset.args


def test_the_description_is_that_of_the_installed_release() -> None:
    root = Path(__file__).parent.parent.parent
    made = subprocess.run(
        [sys.executable, str(root / "tools/describe_trl.py")], capture_output=True, text=True, check=True, timeout=120
    )
    kept = json.loads((root / f"service/domain/trl/releases/{RELEASE.version}.json").read_text())
    fresh = json.loads(made.stdout)
    assert fresh["flags"] == kept["flags"]
    for name in ("trl", "transformers"):
        assert fresh[name] == kept[name]
    assert fresh["custom_code"] is kept["custom_code"]
    assert fresh["whole_logits"] is kept["whole_logits"]
    assert fresh["resumes"] is kept["resumes"]


def test_the_kinds_of_json_are_told_apart() -> None:
    assert [kind_of(value) for value in (True, 1, 1.0, "1", [1], {}, None)] == [
        "bool",
        "int",
        "float",
        "text",
        "list",
        "object",
        "null",
    ]
