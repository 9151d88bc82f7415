"""How a run trains: TRL's maintained SFT script with typed options, or a script of the caller's own.

These models are what a caller sends and what is stored; `domain.job` turns them into a job's command.
"""

from __future__ import annotations

import re
from math import isfinite
from typing import Annotated, Any, ClassVar, Literal

from packaging.requirements import InvalidRequirement, Requirement
from pydantic import AfterValidator, Field, StringConstraints, field_validator

from service.domain.body import Body

MAX_SCRIPT_BYTES = 64 * 1024

# What the service sets itself: a caller's second value would send the model elsewhere or nowhere.
OWNED_FLAGS = {
    "output_dir": "it is the job's own folder, and the model goes to output_repo",
    "push_to_hub": "it is always on",
    "hub_model_id": "give output_repo",
    "hub_token": "it is the job's own token",
    "config": "give the fields of the recipe",
    "model_name_or_path": "give recipe.model_name_or_path",
    "dataset_name": "give recipe.dataset_name",
    "dataset_config": "give recipe.dataset_config",
    "report_to": "give recipe.report_to",
    "use_peft": "give recipe.lora",
    "trackio_static_space_id": "it is off, as the static Space made at a push can end the run",
}

PART = r"[A-Za-z0-9_]([A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?"


def _hub_name(value: str) -> str:
    # huggingface_hub's own rules (utils/_validators.py): a name that breaks one can be asked for nowhere
    if "--" in value or ".." in value or value.endswith(".git"):
        raise ValueError("a name on the Hub holds no '--' and no '..', and does not end in '.git'")
    if len(value) > 96:
        raise ValueError("a name on the Hub has at most 96 characters")
    return value


HubId = Annotated[str, StringConstraints(pattern=rf"^{PART}(/{PART})?$"), AfterValidator(_hub_name)]
RepoId = Annotated[str, StringConstraints(pattern=rf"^{PART}/{PART}$"), AfterValidator(_hub_name)]


def _one_argument(value: str) -> str:
    # Hugging Face refuses empty items of a command, and no process can be given a NUL.
    if not value or "\0" in value:
        raise ValueError("an argument is at least one character, without NUL")
    return value


Argument = Annotated[str, StringConstraints(max_length=8192), AfterValidator(_one_argument)]


def _check_flag_value(name: str, value: object) -> None:
    """A flag takes a text, a number, true or false, null (left out), a list of those, or an object (sent as JSON)."""
    match value:
        case None | bool() | int() | dict():
            return
        case float():
            if not isfinite(value):
                raise ValueError(f"'{name}': a number is finite")
        case str():
            if len(value) > 8192 or not value or "\0" in value:
                raise ValueError(f"'{name}': a text has 1 to 8192 characters, without NUL")
        case list():
            if not value or any(not isinstance(item, str | int | float) or str(item).startswith("-") for item in value):
                raise ValueError(f"'{name}': a list holds texts or numbers, at least one, and none begins with a dash")
            for item in value:
                _check_flag_value(name, item)
        case _:
            raise ValueError(f"'{name}': not a value that a flag can take")


class Lora(Body):
    """Low-rank adapters, with the meanings of TRL's `--lora_…` flags."""

    r: int = Field(16, ge=1, le=1024)
    alpha: int = Field(32, ge=1, le=4096)
    dropout: float = Field(0.05, ge=0, lt=1)
    target_modules: Argument | list[Argument] = "all-linear"


class TrlSft(Body):
    """TRL's `sft.py` of one release. `args` are TRL's own flag names without the dashes."""

    kind: Literal["trl_sft"]
    model_name_or_path: HubId
    dataset_name: HubId
    dataset_config: Argument | None = None
    args: dict[str, Any] = Field(default_factory=dict, max_length=500)
    lora: Lora | None = None
    report_to: Literal["trackio", "wandb", "tensorboard", "none"] = "none"
    trl_version: Annotated[str, StringConstraints(pattern=r"^\d+\.\d+\.\d+$")] = "1.16.0"

    @field_validator("args")
    @classmethod
    def _own_flags_only(cls, args: dict[str, Any]) -> dict[str, Any]:
        for name, value in args.items():
            if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
                raise ValueError(f"'{name}' is not a flag of TRL: write it as in its documentation, without dashes")
            # argparse takes any unique beginning for the whole flag.
            if owned := next((flag for flag in OWNED_FLAGS if flag.startswith(name)), None):
                raise ValueError(f"'{name}' is set by the service: {OWNED_FLAGS[owned]}")
            _check_flag_value(name, value)
        return args


class Script(Body):
    """A uv script: PEP 723 header and all. `dependencies` and `python` add to what the header says."""

    not_available: ClassVar[dict[str, str]] = {"url": "scripts travel as text in 'source'"}

    kind: Literal["script"]
    source: Annotated[str, StringConstraints(min_length=1)]
    args: list[Argument] = Field(default_factory=list, max_length=256)
    dependencies: list[Argument] = Field(default_factory=list, max_length=64)
    python: Annotated[str, StringConstraints(pattern=r"^3\.\d{1,2}$")] | None = None

    @field_validator("source")
    @classmethod
    def _travels_in_the_environment(cls, source: str) -> str:
        if (size := len(source.encode())) > MAX_SCRIPT_BYTES:
            raise ValueError(
                f"the script has {size} bytes; at most 64 KiB ({MAX_SCRIPT_BYTES} bytes) can travel with a job"
            )
        if "\0" in source:
            raise ValueError("a script holds no NUL character")
        return source

    @field_validator("dependencies")
    @classmethod
    def _requirements(cls, dependencies: list[str]) -> list[str]:
        for text in dependencies:
            try:
                Requirement(text)
            except InvalidRequirement as error:
                raise ValueError(f"'{text}' is not a requirement (PEP 508): {error}") from error
        return dependencies


Recipe = Annotated[TrlSft | Script, Field(discriminator="kind")]
