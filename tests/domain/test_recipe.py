"""What callers may ask for, and the argv that becomes of it."""

from __future__ import annotations

import base64
import gzip
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from service.domain import job
from service.domain.errors import BrokenRule, Invalid, UnknownField
from service.domain.recipe import read, stored
from service.domain.request import RunRequest
from service.domain.script import Script
from service.domain.trl_sft import STORED, TrlSft

TUTORIAL: dict[str, Any] = {
    "recipe": {
        "kind": "trl_sft",
        "model_name_or_path": "HuggingFaceTB/SmolLM3-3B-Base",
        "dataset_name": "HuggingFaceTB/smoltalk2_everyday_convs_think",
        "args": {"learning_rate": 5e-5, "per_device_train_batch_size": 4, "max_steps": 1000},
        "report_to": "trackio",
        "trl_version": "1.16.0",
    },
    "flavor": "a10g-large",
    "timeout": "2h",
    "max_cost_usd": 3.05,
    "output_repo": "acme/smollm3-sft",
}
LORA = {"r": 8, "alpha": 16, "dropout": 0.05, "target_modules": "all-linear"}


def trl(**changes: Any) -> TrlSft:
    recipe = RunRequest.model_validate({**TUTORIAL, "recipe": {**TUTORIAL["recipe"], **changes}}).recipe
    assert isinstance(recipe, TrlSft)
    return recipe


def script(**fields: Any) -> Script:
    return Script.model_validate({"kind": "script", "source": "print(1)\n", **fields})


def test_the_tutorials_request_becomes_trls_own_command() -> None:
    argv = job.command(trl(), "acme/smollm3-sft")
    assert " ".join(argv[5:]) == (
        "uv run --with trl==1.16.0 --with transformers==5.23.0 "
        "https://raw.githubusercontent.com/huggingface/trl/v1.16.0/trl/scripts/sft.py "
        "--model_name_or_path HuggingFaceTB/SmolLM3-3B-Base "
        "--dataset_name HuggingFaceTB/smoltalk2_everyday_convs_think "
        "--learning_rate 5e-5 --per_device_train_batch_size 4 --max_steps 1000 --report_to trackio "
        "--output_dir smollm3-sft --push_to_hub True --hub_model_id acme/smollm3-sft"
    )


def test_lora_is_spelt_out_in_trls_flags() -> None:
    argv = " ".join(job.command(trl(lora=LORA), "acme/x"))
    assert "--use_peft True --lora_r 8 --lora_alpha 16 --lora_dropout 0.05 --lora_target_modules all-linear " in argv
    listed = job.command(trl(lora={**LORA, "target_modules": ["q_proj", "v_proj"]}), "acme/x")
    at = listed.index("--lora_target_modules")
    assert listed[at : at + 3] == ("--lora_target_modules", "q_proj", "v_proj")


def test_trackio_never_makes_a_static_space(tmp_path: Path) -> None:
    argv = job.command(trl(), "acme/x")
    stub = tmp_path / "uv"
    stub.write_text('#!/bin/sh\nwhile [ "$1" != --config ]; do shift; done; cat "$2"\n')
    stub.chmod(0o755)
    out = subprocess.run(argv, capture_output=True, text=True, check=True, env={"PATH": f"{tmp_path}:/usr/bin:/bin"})
    assert json.loads(out.stdout) == {"trackio_static_space_id": False}


@pytest.mark.parametrize(
    ("args", "argv"),
    [
        ({"packing": True}, ["--packing", "True"]),
        ({"bf16": True}, ["--bf16", "True"]),
        ({"gradient_checkpointing": False}, ["--gradient_checkpointing", "False"]),
        ({"eval_steps": None}, []),
        ({"max_steps": 3}, ["--max_steps", "3"]),
        ({"max_steps": -1}, ["--max_steps=-1"]),
        ({"learning_rate": 1e-05}, ["--learning_rate", "1e-5"]),
        ({"max_grad_norm": -1e-05}, ["--max_grad_norm=-1e-5"]),
        ({"eos_token": "--hub_model_id=evil/x"}, ["--eos_token=--hub_model_id=evil/x"]),
        ({"label_names": ["a", "b"]}, ["--label_names", "a", "b"]),
    ],
)
def test_values_of_args_become_argv_items(args: dict[str, Any], argv: list[str]) -> None:
    command = list(job.command(trl(args=args, report_to="none"), "acme/x"))
    at = command.index("HuggingFaceTB/smoltalk2_everyday_convs_think") + 1
    assert command[at : command.index("--report_to")] == argv


@pytest.mark.parametrize(
    "args", [{"liger_kernel_config": {"rope": False}}, {"max_length": None}, {"optim_target_modules": ["a"]}]
)
def test_what_the_command_line_cannot_say_travels_in_a_config_file(args: dict[str, Any]) -> None:
    command = job.command(trl(args=args, report_to="none"), "acme/x")
    assert command[:2] == ("bash", "-c")
    assert json.loads(command[4]) == args


@pytest.mark.parametrize(
    "flag", ["push_to_hub", "hub_model_id", "output_dir", "config", "use_peft", "lora_r", "load_in_4bit", "datasets"]
)
def test_flags_of_the_services_own_are_refused(flag: str) -> None:
    with pytest.raises(Invalid, match="set by the service") as caught:
        trl(args={flag: "x"})
    assert caught.value.field == f"recipe.args.{flag}"


def test_a_script_travels_whole_and_runs_with_its_arguments_intact(tmp_path: Path) -> None:
    recipe = script(
        source="é = 1\n" * 10, args=["a b", "$(id)", "'\"", "--x", "*"], dependencies=["numpy>=2"], python="3.12"
    )
    stub = tmp_path / "uv"
    stub.write_text('#!/bin/sh\nprintf "%s|" "$@"; echo; cat "$6"; test -z "$TUNEGATE_SCRIPT"\n')
    stub.chmod(0o755)
    env = job.environment(recipe, {"OWN": "1"}, "run_1", "acme/x")
    ran = subprocess.run(
        job.command(recipe, "acme/x"),
        capture_output=True,
        text=True,
        check=True,
        env={**env, "PATH": f"{tmp_path}:/usr/bin:/bin", "TMPDIR": str(tmp_path)},
    )
    first, _, source = ran.stdout.partition("\n")
    words = first.split("|")
    assert words[:5] == ["run", "--with", "numpy>=2", "--python", "3.12"]
    assert words[5].startswith(str(tmp_path))
    assert words[6:11] == ["a b", "$(id)", "'\"", "--x", "*"]
    assert source == recipe.source
    assert env["TUNEGATE_RUN_ID"] == "run_1"
    assert env["TUNEGATE_OUTPUT_REPO"] == "acme/x"


@given(source=st.text(min_size=1, max_size=500).filter(lambda text: "\0" not in text))
def test_any_text_comes_out_as_it_went_in(source: str) -> None:
    kept = Script.model_validate({"kind": "script", "source": source}, context=STORED)
    packed = job.environment(kept, {}, "run_1", None)["TUNEGATE_SCRIPT"]
    assert gzip.decompress(base64.b64decode(packed)).decode() == source


def test_a_command_of_the_image_runs_word_by_word_and_is_kept_as_it_was_sent() -> None:
    recipe = Script.model_validate({"kind": "script", "command": ["bash", "-c", "echo $1"], "args": ["x", "a b"]})
    assert job.command(recipe, None, pins={"exclude_newer": "2026-01-01"}) == ("bash", "-c", "echo $1", "x", "a b")
    assert "TUNEGATE_SCRIPT" not in job.environment(recipe, {}, "run_1", None)
    kept, image = stored(recipe, "acme/image:1")
    assert (read(kept), image) == (recipe, "acme/image:1")


@pytest.mark.parametrize(
    ("fields", "at"),
    [
        ({"source": "print(1)"}, None),
        ({"url": "https://example.com/x.py"}, None),
        ({"command": []}, "command"),
        ({"command": [""]}, "command"),
        ({"python": "3.12"}, "python"),
        ({"dependencies": ["numpy"]}, "dependencies"),
        ({"sha256": "0" * 64}, "sha256"),
    ],
)
def test_a_command_has_nothing_of_a_scripts(fields: dict[str, Any], at: str | None) -> None:
    with pytest.raises(ValidationError) as found:
        Script.model_validate({"kind": "script", "command": ["true"], **fields})
    (error,) = found.value.errors()
    broken = error.get("ctx", {}).get("error")
    assert at in (getattr(broken, "at", None), *error["loc"])


def test_a_script_of_64_kib_fits_one_variable_and_a_larger_one_is_refused() -> None:
    import random

    noise = random.Random(0)
    largest = "f() #" + "".join(chr(noise.randrange(32, 127)) for _ in range(64 * 1024 - 5))
    packed = job.environment(script(source=largest), {}, "run_1", None)["TUNEGATE_SCRIPT"]
    assert len(packed) < 96 * 1024
    with pytest.raises(ValidationError, match="65537 bytes"):
        script(source=largest + "x")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"timeout": None, "max_cost_usd": None}, "without a bound"),
        ({"timeout": "2 hours"}, "duration"),
        ({"timeout": 59}, "from 60 seconds"),
        ({"timeout": True}, "number of seconds"),
        ({"max_cost_usd": "3"}, "a number of dollars"),
        ({"max_cost_usd": float("nan")}, "finite"),
        ({"max_cost_usd": -1}, "greater than or equal to 0"),
        ({"output_repo": None}, "output_repo"),
        ({"output_repo": "../x"}, "owner/name"),
        ({"namespace": ".."}, "user or an organisation"),
        ({"priority": 101}, "less than or equal to 100"),
        ({"labels": {"a b": "x"}}, "labels hold"),
        ({"labels": {"tunegate-run": "x"}}, "sets this label"),
        ({"env": {"A": "x"}}, "variable's name"),
        ({"env": {"HF_TOKEN": "x"}}, "the service's own"),
        ({"secrets": {"hf_token": "x"}}, "the service's own"),
        ({"secrets": {"TUNEGATE_X": "x"}}, "set by the service"),
        ({"secrets": {"KEY": ""}}, "empty"),
        ({"env": {"KEY": "a"}, "secrets": {"KEY": "b"}}, "choose one"),
        ({"flavor": "A10G large"}, "lower-case"),
        ({"timeout": "300"}, "with its unit"),
    ],
)
def test_what_cannot_be_right_is_refused_with_the_rule(change: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        RunRequest.model_validate({**TUTORIAL, **change})


def test_an_unknown_field_is_refused_with_the_nearest_known_one() -> None:
    found = broken({**TUTORIAL, "time_out": "2h"})
    assert (found.kind, found.at, found.remedy) == (UnknownField, "time_out", "Did you mean 'timeout'?")
    with pytest.raises(ValidationError, match="dataset_nam"):
        trl(dataset_nam="x")


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("model", "recipe.model_name_or_path"),
        ("hub_model_id", "output_repo"),
        ("max_cost", "max_cost_usd"),
        ("gpu", "flavor"),
        ("depends_on", "after"),
        ("lr", "recipe.args.learning_rate"),
        ("--learning-rate", "recipe.args.learning_rate"),
        ("num_train_epochs", "recipe.args.num_train_epochs"),
        ("env_vars", "env"),
        ("tags", "labels"),
    ],
)
def test_what_belongs_elsewhere_is_told_its_place(name: str, remedy: str) -> None:
    assert remedy in broken({**TUTORIAL, name: 1}).remedy


def broken(body: dict[str, Any]) -> BrokenRule:
    with pytest.raises(ValidationError) as caught:
        RunRequest.model_validate(body)
    found = caught.value.errors()[0]["ctx"]["error"]
    assert isinstance(found, BrokenRule)
    return found


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("2h", 7200), ("90m", 5400), ("1.5h", 5400), ("300s", 300), (300, 300), ("1d", 86400)],
)
def test_durations(text: object, seconds: int) -> None:
    assert RunRequest.model_validate({**TUTORIAL, "timeout": text, "max_cost_usd": None}).timeout == seconds
