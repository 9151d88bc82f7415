"""Typed TRL: known flags only, presets, batches, and a launch over all GPUs."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from service.domain import gpus, job
from service.domain.errors import Invalid, UnknownField
from service.domain.recipe import Recipe
from service.domain.script import Script
from service.domain.trl.batch import Split, effective_batch, offers, split_on, with_split
from service.domain.trl.flags import described, release
from service.domain.trl.preset import Preset, family_in, family_of, fill, presets
from service.domain.trl.schema import recipe_schema
from service.domain.trl_sft import DEFAULT_RELEASE, STORED, TrlSft

ADAPTER: TypeAdapter[TrlSft | Script] = TypeAdapter(Recipe)


def recipe_of(**fields: Any) -> TrlSft:
    least = {"kind": "trl_sft", "model_name_or_path": "HuggingFaceTB/SmolLM3-3B-Base", "dataset_name": "acme/rows"}
    recipe = ADAPTER.validate_python({**least, **fields})
    assert isinstance(recipe, TrlSft)
    return recipe


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("learning_rat", "Did you mean 'learning_rate'?"),
        ("lr_rate", "Did you mean 'learning_rate'?"),
        ("per_device_train", "Did you mean 'per_device_train_batch_size'?"),
        ("learning-rate", "Did you mean 'learning_rate'?"),
        ("--learning_rate", "Did you mean 'learning_rate'?"),
        ("no_gradient_checkpointing", "Write 'gradient_checkpointing': false."),
        ("zzz", "GET /recipes/trl_sft/schema lists the flags."),
        ("", "GET /recipes/trl_sft/schema lists the flags."),
    ],
)
def test_an_unknown_or_abbreviated_flag_is_refused_with_the_nearest_name(name: str, remedy: str) -> None:
    with pytest.raises(UnknownField) as caught:
        recipe_of(args={name: 1})
    assert (caught.value.field, caught.value.remedy) == (f"recipe.args.{name}", remedy)


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ({"learning_rate": "5e-5"}, "takes a number, not a text"),
        ({"learning_rate": float("inf")}, "finite"),
        ({"learning_rate": True}, "takes a number, not true or false"),
        ({"max_steps": 1.5}, "takes a whole number, not 1.5"),
        ({"packing": 1}, "takes true or false, not 1"),
        ({"packing": None}, "leave it out for its default, False"),
        ({"optim": "adamw_torch_fuse"}, "did you mean 'adamw_torch_fused'?"),
        ({"label_names": "a"}, "takes a list"),
        ({"label_names": []}, "at least one"),
        ({"label_names": ["-x"]}, "dash"),
        ({"label_names": [["x"]]}, "texts or numbers"),
        ({"run_name": ""}, "1 to 8192"),
        ({"model_init_kwargs": {"a": "x" * 8192}}, "at most 8192 characters"),
        ({"parallelism_config": {}}, "nothing that a job's command can carry"),
        ({"dataset_config": "en"}, "give recipe.dataset_config"),
    ],
)
def test_a_wrong_value_is_refused_with_what_is_expected(args: dict[str, Any], says: str) -> None:
    with pytest.raises(Invalid) as caught:
        recipe_of(args=args)
    assert says in caught.value.detail
    assert caught.value.field == f"recipe.args.{next(iter(args))}"


def test_a_whole_number_is_a_number_and_null_unsets_what_may_be_unset() -> None:
    assert recipe_of(args={"learning_rate": 1, "eval_steps": None, "max_length": None}).args["learning_rate"] == 1


def test_releases_side_by_side() -> None:
    assert described() == ("1.16.0", "0.29.1")
    assert "truncation_mode" in release("1.16.0").flags
    with pytest.raises(UnknownField, match=r"TRL 0\.29\.1"):
        recipe_of(args={"truncation_mode": "keep_end"}, trl_version="0.29.1")
    with pytest.raises(Invalid) as caught:
        recipe_of(trl_version="1.2.3")
    assert "Described are 1.16.0, 0.29.1" in str(caught.value.remedy)


@pytest.mark.parametrize("version", described())
def test_a_description_names_the_versions_it_was_read_from(version: str) -> None:
    known = release(version)
    assert known.versions["trl"] == version
    assert {"transformers", "peft", "torch", "python"} <= known.versions.keys()
    assert all(flag.help for name, flag in known.flags.items() if name != "debug"), version


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"packing": True, "args": {"packing": False}}, "given as a field"),
        ({"eval": {"steps": 5}, "args": {"eval_strategy": "no"}}, "given as a field"),
        ({"quantization": {}}, "quantization needs lora"),
        ({"filled": {"preset": None, "source": "me"}}, "set by the service"),
    ],
)
def test_what_does_not_go_together_is_refused(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(Invalid, match=says):
        recipe_of(**fields)


@pytest.mark.parametrize(
    "fields", [{"lora": {}, "quantization": {"bits": 8, "nested": True}}, {"eval": {"strategy": "epoch", "steps": 2}}]
)
def test_parts_of_fields_that_do_not_go_together(fields: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match=r"go(es)? with"):
        recipe_of(**fields)


def test_a_stored_recipe_comes_back_whole_even_where_the_descriptions_have_changed() -> None:
    recipe = fill(recipe_of(lora={}, quantization={"bits": 8}, preset="auto"), "l4x1")
    stored = recipe.model_dump(mode="json")
    assert ADAPTER.validate_python(stored, context=STORED) == recipe
    stored |= {"args": {"gone": 1}, "trl_version": "0.1.0", "filled": None}
    old = ADAPTER.validate_python(stored, context=STORED)
    assert "--gone" in job.command(old, "acme/x")


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("HuggingFaceTB/SmolLM3-3B-Base", "smollm3"),
        ("Qwen/Qwen3-0.6B", "qwen3"),
        ("Qwen/Qwen3-VL-8B-Instruct", None),
        ("Qwen/Qwen3.5-9B", None),
        ("Qwen/Qwen2.5-3B", None),
        ("meta-llama/Meta-Llama-3-8B", "llama3"),
        ("meta-llama/Llama-3.2-1B", "llama3"),
        ("meta-llama/Llama-2-7b", None),
        ("google/gemma-3-1b-pt", "gemma"),
        ("mistralai/Mistral-7B-v0.3", "mistral"),
        ("mistralai/Mixtral-8x7B-v0.1", None),
    ],
)
def test_families_by_the_models_name(model: str, family: str | None) -> None:
    assert family_of(model) == family


def test_a_preset_fills_only_what_was_left_out_and_says_so() -> None:
    recipe = fill(recipe_of(preset="auto", lora={"r": 8}, args={"learning_rate": 1e-3, "max_steps": 5}), "l4x1")
    assert recipe.args["learning_rate"] == 1e-3
    assert recipe.args["gradient_accumulation_steps"] == 8
    assert recipe.lora is not None
    assert (recipe.lora.r, recipe.lora.alpha) == (8, 32), "alpha goes with r: TRL's own default stays"
    assert recipe.filled is not None
    assert recipe.filled.preset == "smollm3-lora"
    assert "learning_rate" not in recipe.filled.args
    assert recipe.filled.source
    assert fill(recipe, "l4x1") == recipe, "filling again changes nothing"


def test_another_flavor_is_filled_for_from_what_was_asked() -> None:
    asked = recipe_of(preset="auto", lora={"r": 8}, args={"max_steps": 5})
    on_l4 = fill(asked, "l4x1")
    kept = ADAPTER.validate_python(on_l4.model_dump(mode="json"), context=STORED)
    assert kept.as_asked() == asked
    on_t4 = fill(kept, "t4-small")
    assert on_t4 == fill(asked, "t4-small")
    assert on_t4.args["fp16"] is True
    assert fill(on_t4, "l4x1") == on_l4


@pytest.mark.parametrize(
    ("config", "family"),
    [
        ({"model_type": "smollm3"}, "smollm3"),
        ({"model_type": "gemma3_text"}, "gemma"),
        ({"model_type": "llama", "vocab_size": 128256}, "llama3"),
        ({"model_type": "llama", "vocab_size": 32000}, None),
        ({"model_type": "qwen3_moe"}, None),
        (None, None),
    ],
)
def test_families_by_the_models_config(config: dict[str, Any] | None, family: str | None) -> None:
    assert family_in(config) == family


def test_a_split_is_noted_and_undone_by_what_was_asked() -> None:
    asked = recipe_of(args={"per_device_train_batch_size": 8}, fit_batch=True)
    split = with_split(asked, Split(2, 4, 1))
    assert (split.args["per_device_train_batch_size"], split.args["gradient_accumulation_steps"]) == (2, 4)
    assert split.filled is not None
    assert split.filled.batch == {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 4}
    assert split.as_asked() == asked


def test_a_batch_is_filled_whole_or_not_at_all() -> None:
    recipe = fill(recipe_of(preset="auto", lora={}, args={"per_device_train_batch_size": 1}), "l4x1")
    assert "gradient_accumulation_steps" not in recipe.args


FAMILY_MODELS = {
    "smollm3": "HuggingFaceTB/SmolLM3-3B",
    "qwen3": "Qwen/Qwen3-8B",
    "llama3": "meta-llama/Llama-3.1-8B",
    "gemma": "google/gemma-7b",
    "mistral": "mistralai/Mistral-7B-v0.1",
}


@pytest.mark.parametrize("preset", [one for one in presets() if one.family])
def test_a_presets_step_learns_from_as_many_rows_on_any_number_of_gpus(preset: Preset) -> None:
    assert preset.family is not None
    assert preset.gpus is not None, "a batch stands on a number of GPUs"
    known = release(DEFAULT_RELEASE)
    rows = effective_batch(preset.args, known, preset.gpus)
    lora = {"lora": {}} if preset.mode == "lora" else {}
    asked = recipe_of(preset="auto", model_name_or_path=FAMILY_MODELS[preset.family], **lora)
    for count in (1, 2, 4, 8):
        filled = fill(asked, "any", gpus=count)
        assert filled.filled is not None
        assert f"(on {preset.gpus} GPU" in filled.filled.source
        assert effective_batch(filled.args, known, count) == max(rows, count)
        assert filled.args["per_device_train_batch_size"] <= preset.args["per_device_train_batch_size"]


def test_smollm3_learns_from_as_many_sequences_as_its_own_recipe() -> None:
    """Its first line: `Config for 8 nodes with GBS 128`."""
    filled = fill(recipe_of(preset="auto"), "a100x8", gpus=8)
    assert effective_batch(filled.args, release(DEFAULT_RELEASE), 8) == 128


@given(st.integers(1, 64), st.integers(1, 64), st.integers(1, 8), st.integers(1, 16))
def test_a_split_for_other_gpus_keeps_the_rows_where_they_divide(
    per_device: int, accumulation: int, there: int, gpus: int
) -> None:
    before = Split(per_device, accumulation, there)
    after = split_on(before, gpus)
    assert (after.gpus, min(after.per_device, after.accumulation) >= 1) == (gpus, True)
    assert after.per_device <= per_device
    if before.effective % gpus == 0:
        assert after.effective == before.effective
    else:
        assert abs(after.effective - before.effective) <= max(gpus, after.per_device * gpus)


def test_a_flavors_preset_goes_before_the_familys() -> None:
    recipe = fill(recipe_of(preset="auto", lora={}, model_name_or_path="google/gemma-7b"), "t4-small")
    assert (recipe.args["bf16"], recipe.args["fp16"], recipe.args["dtype"]) == (False, True, "float32")
    assert recipe.filled is not None
    assert recipe.filled.preset == "t4+gemma-lora"


def test_where_nothing_is_known_nothing_is_filled() -> None:
    recipe = fill(recipe_of(preset="auto", model_name_or_path="acme/own"), "l4x1")
    assert recipe.args == {}
    assert recipe.filled is not None
    assert recipe.filled.preset is None
    assert fill(recipe_of(), "l4x1").filled is None


def test_every_family_has_both_ways_with_a_source_and_only_known_flags() -> None:
    pairs = {(one.family, one.mode) for one in presets() if one.family}
    assert pairs == {
        (family, mode) for family in ("smollm3", "qwen3", "llama3", "gemma", "mistral") for mode in ("lora", "full")
    }
    for one in presets():
        assert one.source
        recipe_of(args=one.args, **({"lora": one.lora} if one.lora else {}))


@given(st.integers(1, 256), st.integers(1, 64), st.integers(1, 8))
def test_offers_keep_the_effective_batch(per_device: int, accumulation: int, count: int) -> None:
    split = Split(per_device, accumulation, count)
    found = offers(split)
    assert all(offer.effective == split.effective for offer in found)
    assert [offer.per_device for offer in found] == sorted({offer.per_device for offer in found}, reverse=True)
    assert all(1 <= offer.per_device < per_device for offer in found)
    assert bool(found) == (per_device % 2 == 0)


def test_the_effective_batch_counts_gpus_and_the_releases_defaults() -> None:
    known = release("1.16.0")
    assert effective_batch({}, known, 4) == 8 * 1 * 4
    assert effective_batch({"per_device_train_batch_size": 2, "gradient_accumulation_steps": 3}, known, 2) == 12


@pytest.mark.parametrize(
    ("hardware", "count"),
    [
        ({"accelerator": {"type": "gpu", "quantity": "4"}}, 4),
        ({"accelerator": {"type": "gpu", "quantity": 8}}, 8),
        ({"accelerator": None}, 1),
        ({"accelerator": {"type": "neuron", "quantity": "2"}}, 1),
        ({"accelerator": {"type": "gpu", "quantity": "many"}}, 1),
        ({}, 1),
        (None, 1),
    ],
)
def test_gpus_of_a_flavor(hardware: dict[str, Any] | None, count: int) -> None:
    assert gpus.count(hardware) == count


def test_several_gpus_are_launched_over_and_one_runs_the_script_by_its_address() -> None:
    alone = job.command(recipe_of(), "acme/x")
    assert any(item.endswith("/v1.16.0/trl/scripts/sft.py") for item in alone)
    together = " ".join(job.command(recipe_of(), "acme/x", 4))
    assert "accelerate launch --multi_gpu --num_processes 4 " in together
    assert "--module trl.scripts.sft --model_name_or_path" in together
    assert "--with peft --with trackio" in together
    assert "https://" not in together


def test_a_part_of_a_split_is_asked_for_by_the_function_that_loads_it() -> None:
    by_flag = {"args": {"dataset_train_split": "all"}}
    for fields in ({"dataset_train_split": "train[:9]"}, {"eval": {"split": "a+b"}}, by_flag):
        command = job.command(recipe_of(**fields), "acme/x")
        at = command.index("python")
        assert command[at + 1] == "-c"
        assert command[at + 3] == "main"
    assert "python" not in job.command(recipe_of(dataset_train_split="held"), "acme/x")


def test_a_datasets_revision_is_given_to_the_function_that_loads_it() -> None:
    alone = job.command(recipe_of(dataset_revision="abc"), "acme/x")
    at = alone.index("-c")
    assert alone[at - 1] == "python"
    assert alone[at + 2 : at + 4] == ("abc", "--model_name_or_path")
    assert "--no_python" in job.command(recipe_of(dataset_revision="abc"), "acme/x", 2)


@pytest.mark.parametrize(
    ("fields", "package"),
    [
        ({"report_to": "wandb"}, "wandb"),
        ({"lora": {}, "quantization": {}}, "bitsandbytes"),
        ({"args": {"optim": "paged_adamw_8bit"}}, "bitsandbytes"),
        ({"args": {"use_liger_kernel": True}}, "liger-kernel"),
    ],
)
def test_packages_that_the_scripts_header_lacks_come_along(fields: dict[str, Any], package: str) -> None:
    command = job.command(recipe_of(**fields), "acme/x")
    assert command[command.index(package) - 1] == "--with"
    assert package not in job.command(recipe_of(), "acme/x")


@pytest.mark.parametrize("version", described())
def test_the_schema_is_that_of_the_release(version: str) -> None:
    schema = recipe_schema(version)
    args = schema["properties"]["args"]["properties"]
    assert schema["$schema"].endswith("2020-12/schema")
    assert args["learning_rate"]["type"] == "number"
    assert args["learning_rate"]["default"] == 2e-5
    assert args["max_length"]["type"] == ["integer", "null"]
    assert "adafactor" in args["optim"]["enum"]
    assert args["label_names"]["type"] == ["array", "null"]
    assert args["packing"]["description"]
    assert not {"push_to_hub", "lora_r", "parallelism_config"} & args.keys()
    assert "filled" not in schema["properties"]
    assert schema["properties"]["trl_version"]["default"] == version
