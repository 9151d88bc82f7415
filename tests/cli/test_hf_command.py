"""Pasted `hf jobs` commands: each option of the installed command has its place in a run, or is refused by its name."""

from __future__ import annotations

import inspect
import shlex
from pathlib import Path
from typing import Any, get_args

import click
import pytest
from huggingface_hub.cli import jobs

from service.cli import hf_options
from service.cli.hf_command import NO_PLACE, Pasted, read_command
from service.cli.pasted import command_in
from service.cli.request_body import body_of
from service.domain.not_mapped import NotMapped
from service.domain.request import RunRequest
from tests.cli.conftest import Command

UV = "hf jobs uv run"
SFT = "https://raw.githubusercontent.com/huggingface/trl/v1.16.0/trl/scripts/sft.py"
# From the course, with what a notebook puts around it.
COURSE = r"""!hf jobs uv run \
    --flavor a10g-large \
    --timeout 2h \
    --secrets HF_TOKEN \
    "https://raw.githubusercontent.com/huggingface/trl/v1.16.0/trl/scripts/sft.py" \
    --model_name_or_path HuggingFaceTB/SmolLM3-3B-Base \
    --dataset_name HuggingFaceTB/smoltalk2_everyday_convs_think \
    --learning_rate 5e-5 \
    --per_device_train_batch_size 4 \
    --max_steps 1000 \
    --use_peft --lora_r 8 --lora_target_modules all-linear \
    --eval_strategy steps --eval_steps 100 \
    --output_dir smollm3-sft \
    --push_to_hub \
    --hub_model_id acme/smollm3-sft \
    --report_to trackio
"""


@pytest.fixture(autouse=True)
def _scripts(here: Path) -> None:
    (here / "train.py").write_text("print(1)\n")
    (here / "job.env").write_text("# a comment\nA1='one two'\nexport B1=2\n\nFROM_OUTSIDE\n")


def read(text: str, **environ: str) -> Pasted:
    words = command_in([text])
    assert words is not None
    return read_command(words, environ)


def body(text: str, **environ: str) -> dict[str, Any]:
    return read(text, **environ).body


def test_the_courses_command_is_a_typed_recipe() -> None:
    pasted = read(COURSE)
    assert pasted.body == {
        "recipe": {
            "kind": "trl_sft",
            "trl_version": "1.16.0",
            "model_name_or_path": "HuggingFaceTB/SmolLM3-3B-Base",
            "dataset_name": "HuggingFaceTB/smoltalk2_everyday_convs_think",
            "args": {"learning_rate": 5e-5, "per_device_train_batch_size": 4, "max_steps": 1000},
            "lora": {"r": 8, "target_modules": ["all-linear"]},
            "eval": {"strategy": "steps", "steps": 100},
            "report_to": "trackio",
        },
        "flavor": "a10g-large",
        "timeout": "2h",
        "output_repo": "acme/smollm3-sft",
    }
    told = " ".join(pasted.notes)
    assert "--secrets HF_TOKEN is left out" in told
    assert "--output_dir is left out" in told
    RunRequest.model_validate(pasted.body)


@pytest.mark.parametrize(
    "command",
    [
        f"{UV} --with trl trl sft --model_name_or_path a/b --dataset_name c/d --hub_model_id e/f --bf16 True",
        f"{UV} --with trl==1.16.0 --with peft trl sft --model-name-or-path a/b --dataset_name=c/d --hub_model_id e/f "
        "--bf16",
        "hf jobs run python:3.12 trl sft --model_name_or_path a/b --dataset_name c/d --hub_model_id e/f --bf16 true",
        f"hf jobs run ghcr.io/astral-sh/uv:python3.12-bookworm uv run --with peft {SFT} --model_name_or_path a/b "
        "--dataset_name c/d --hub_model_id e/f --bf16",
        f"{UV} {SFT} --model_name_or_path a/b --dataset_name c/d --hub_model_id e/f --bf16",
    ],
)
def test_trls_sft_is_recognised_in_each_way_of_starting_it(command: str) -> None:
    made = body(command)
    assert made["recipe"] == {
        "kind": "trl_sft", "trl_version": "1.16.0", "model_name_or_path": "a/b", "dataset_name": "c/d",
        "args": {"bf16": True},
    }  # fmt: skip
    assert (made["output_repo"], made["timeout"], made["flavor"]) == ("e/f", "30m", "cpu-basic")
    RunRequest.model_validate(made)


def test_a_script_with_every_option_that_has_a_place() -> None:
    made = body(
        f"{UV} --flavor t4-small --timeout 3600 -e X1=1 -e FROM_OUTSIDE --env-file job.env -s WANDB_API_KEY "
        "-l team=a --label lone --name mine -v hf://datasets/o/n@v1/train:/data -v hf://buckets/o/b/sub:/mnt:ro "
        "-v hf://o/m:/model --attempts 3 --namespace acme --resource-group-id 0123456789abcdef01234567 --with numpy "
        "--with 'torch>=2' -p 3.12 --image acme/own:1 -d --quiet --json train.py --epochs 1 --seed -1",
        FROM_OUTSIDE="out", WANDB_API_KEY="w",
    )  # fmt: skip
    assert made == {
        "recipe": {
            "kind": "script", "source": "print(1)\n", "args": ["--epochs", "1", "--seed", "-1"],
            "dependencies": ["numpy", "torch>=2"], "python": "3.12",
        },
        "flavor": "t4-small",
        "timeout": "3600s",
        "env": {"A1": "one two", "B1": "2", "FROM_OUTSIDE": "out", "X1": "1"},
        "secrets": {"WANDB_API_KEY": "w"},
        "labels": {"team": "a", "lone": ""},
        "volumes": [
            {"type": "dataset", "source": "o/n", "revision": "v1", "path": "train", "mount_path": "/data"},
            {"type": "bucket", "source": "o/b", "path": "sub", "mount_path": "/mnt", "read_only": True},
            {"type": "model", "source": "o/m", "mount_path": "/model"},
        ],
        "retry": {"max_attempts": 3},
        "namespace": "acme",
        "resource_group": "0123456789abcdef01234567",
        "image": "acme/own:1",
    }  # fmt: skip


def test_other_scripts_stay_scripts() -> None:
    made = body(f"{UV} https://example.com/t.py --epochs 1")
    assert made["recipe"] == {"kind": "script", "url": "https://example.com/t.py", "args": ["--epochs", "1"]}
    main = SFT.replace("v1.16.0", "main")
    assert body(f"{UV} {main}")["recipe"] == {"kind": "script", "url": main}, "another text than any release's"
    assert body("hf jobs run python:3.11-slim python -c 'print(2 + 2)' a")["recipe"] == {
        "kind": "script", "source": "print(2 + 2)", "args": ["a"], "python": "3.11",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (f"{UV} --ssh train.py", "--ssh"),
        (f"{UV} --expose 80 train.py", "--expose"),
        (f"{UV} --network-group g train.py", "--network-group"),
        (f"{UV} -v ./data:/data train.py", "--volume ./data:/data"),
        (f"{UV} -v hf://datasets/a/b train.py", "no mount path"),
        (f"{UV} --secrets NOT_THERE train.py", "NOT_THERE is not set"),
        (f"{UV} -e NOT_THERE train.py", "NOT_THERE is not set"),
        (f"{UV} train.py --lr -1e-5", "-5 is not set"),  # -e with -5: the real one reads it so, and says nothing
        (f"{UV} --env-file none.env train.py", "none.env cannot be read"),
        (f"{UV} --env-file - train.py", "standard input"),
        (f"{UV} lighteval", "lighteval"),
        (f"{UV} missing.py", "missing.py"),
        (f"{UV}", "SCRIPT"),
        (f"{UV} --attempts 0 train.py", "attempts"),
        (f"{UV} --help", "--help"),
        (f"{UV} --flavour a10g-large train.py", "no option --flavour"),
        (f"{UV} train.py | tee log", "`|`"),
        (f"{UV} train.py && echo done", "`&&`"),
        (f"{UV} train.py; echo done", "`;`"),
        (f"{UV} train.py --name $NAME", "`$NAME`"),
        (f"{UV} train.py --name `date`", "`date`"),
        (f"{UV} --with trl==9.9.9 trl sft --model_name_or_path a/b", "not known here"),
        (f"{UV} trl dpo", "trl dpo"),
        (f"{UV} trl sft --dataset_name c/d", "--model_name_or_path"),
        (f"{UV} trl sft --model_name_or_path a/b --dataset_name c/d --lora_r 8", "--use_peft"),
        (f"{UV} trl sft stray --model_name_or_path a/b", "'stray'"),
        (f"{UV} trl sft --max_steps 1 2", "--max_steps takes one value"),
        ("hf jobs ps", "hf jobs ps"),
        ("hf upload a b", "hf upload a b"),
    ],
)
def test_what_cannot_be_a_run_is_refused_by_its_name(command: str, told: str) -> None:
    with pytest.raises(NotMapped) as found:
        read(command)
    assert told in found.value.what
    assert found.value.remedy


@pytest.mark.parametrize(
    "text",
    [
        f"$ {UV} train.py", f"! {UV} train.py", f"uvx {UV} train.py", f"HF_TOKEN=hf_x HF_ENDPOINT=x {UV} train.py",
        f"{UV} \\\n  train.py  # the script", f"  {UV}\ttrain.py\n",
    ],
)  # fmt: skip
def test_what_people_copy_along_is_passed_over(text: str) -> None:
    assert command_in([text]) == [*UV.split(), "train.py"]


@pytest.mark.parametrize(
    "words", [["bash", "-c", "echo 1"], ["python", "train.py", "--epochs", "1"], ["uv", "run", "train.py"]]
)
def test_what_only_the_image_can_read_is_run_as_it_is(words: list[str]) -> None:
    pasted = read(shlex.join(["hf", "jobs", "run", "python:3.12", *words]))
    assert pasted.body["recipe"] == {"kind": "script", "command": words}
    assert pasted.body["image"] == "python:3.12"
    assert any("nothing of it is checked" in note for note in pasted.notes)


def test_what_a_shell_would_leave_alone_is_left_alone() -> None:
    text = f"{UV} --with 'torch>=2; x' train.py '|' '$NAME' \"a; b\"  # then | $X"
    assert command_in([text]) == [*UV.split(), "--with", "torch>=2; x", "train.py", "|", "$NAME", "a; b"]
    assert command_in(["trl", "sft", "--max_steps", "1"]) == [*UV.split(), "trl", "sft", "--max_steps", "1"]


def test_an_address_of_trls_on_a_branch_stays_a_script_and_is_told_of() -> None:
    pasted = read(COURSE.replace("v1.16.0", "main"))
    assert pasted.body["recipe"]["kind"] == "script"
    assert pasted.body["output_repo"] == "acme/smollm3-sft"
    assert any(SFT in note for note in pasted.notes)


def test_other_words_are_no_command() -> None:
    assert command_in(["train.py", "--epochs", "1"]) is None
    assert command_in(["my script.py"]) is None
    with pytest.raises(NotMapped, match="cannot be read"):
        command_in(['hf jobs "uv'])


@pytest.mark.parametrize(("mine", "theirs"), [(hf_options.UV_RUN, jobs.jobs_uv_run), (hf_options.RUN, jobs.jobs_run)])
def test_the_options_are_those_of_the_installed_command(mine: click.Command, theirs: Any) -> None:
    real: dict[str, set[str]] = {}
    for name, parameter in inspect.signature(inspect.unwrap(theirs)).parameters.items():
        by_name = {f"--{name.replace('_', '-')}"} if _is_option(parameter) else set()
        real[name.rstrip("_")] = _declared(parameter) or by_name
    own = {
        (param.name or "").rstrip("_"): set(param.opts) if isinstance(param, click.Option) else set()
        for param in mine.params
    }
    renamed = {"json_output": "json"}
    assert {renamed.get(name, name) for name in real} == set(own)
    for name, options in real.items():
        assert options == own[renamed.get(name, name)], name
    assert set(NO_PLACE) <= set(own)


def _declared(parameter: inspect.Parameter) -> set[str]:
    """The names that its declaration gives it, where it gives any."""
    marks = get_args(parameter.annotation)[1:]
    lists = [one for mark in marks for one in vars(mark).values() if isinstance(one, list)]
    return {part for one in lists for part in one if isinstance(part, str) and part.startswith("-")}


def _is_option(parameter: inspect.Parameter) -> bool:
    return any("Option" in type(mark).__name__ for mark in get_args(parameter.annotation)[1:])


def test_a_pasted_command_is_submitted_as_one_text_or_as_words(tunegate: Command) -> None:
    text = f"{UV} --flavor cpu-basic --timeout 5m -s HF_TOKEN train.py --epochs 1"
    tunegate("submit", text, "--label", "of=pasted", "--wait", HF_TOKEN="hf_mine")
    assert "note: --secrets HF_TOKEN is left out" in tunegate.err
    assert "hf_mine" not in tunegate.err + tunegate.out
    again = tunegate.json("submit", "--timeout", "6m", "--", *text.split(), "--dry-run")
    assert again["recipe"]["args"] == ["--epochs", "1"]
    assert again["timeout"] == "6m", "an option of the command's own goes before"
    [run] = tunegate.json("runs", "--label", "of=pasted")["data"]
    assert (run["recipe"]["args"], run["state"]) == (["--epochs", "1"], "succeeded")


def test_options_are_added_to_what_was_pasted() -> None:
    words = f"{UV} --timeout 5m -e A1=1 train.py".split()
    made = body_of(
        words, env=["B1=2"], labels=["a=b"], packages=["numpy"], fields=["priority=80"], max_cost_usd=2.5
    ).body
    assert made["env"] == {"A1": "1", "B1": "2"}
    assert (made["labels"], made["priority"], made["max_cost_usd"]) == ({"a": "b"}, 80, 2.5)
    assert made["recipe"]["dependencies"] == ["numpy"]


def test_what_a_script_itself_asks_for_in_vain_is_told(tunegate: Command, here: Path) -> None:
    header = '# /// script\n# dependencies = []\n# [tool.hf-jobs]\n# flavor = "h200"\n# python = "3.12"\n# ///\n'
    (here / "train.py").write_text(header + "print(1)\n")
    out = tunegate("submit", f"{UV} --flavor cpu-basic --timeout 5m train.py")
    assert "no say in flavor" in tunegate.err
    assert tunegate.json("show", out.split()[0])["flavor"] == "cpu-basic"
