"""How a run trains: TRL's maintained SFT script with typed options, or a script of the caller's own.

These models are what a caller sends and what is stored; `domain.job` turns them into a job's command.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal

from packaging.requirements import InvalidRequirement, Requirement
from pydantic import AfterValidator, Field, StringConstraints, field_validator

from service.domain.body import Body

MAX_SCRIPT_BYTES = 64 * 1024

# What the service sets itself: a caller's second value would send the model elsewhere or nowhere.
OWNED_FLAGS = {
    "output_dir": "the job's own folder; the model goes to output_repo",
    "push_to_hub": "always on",
    "hub_model_id": "output_repo",
    "hub_token": "the job's own token",
    "config": "the fields of the recipe",
    "model_name_or_path": "recipe.model_name_or_path",
    "dataset_name": "recipe.dataset_name",
    "dataset_config": "recipe.dataset_config",
    "report_to": "recipe.report_to",
    "use_peft": "recipe.lora",
    "trackio_static_space_id": "off: the static Space made at a push can end the run",
}

HubId = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}(/[A-Za-z0-9][A-Za-z0-9._-]{0,95})?$", max_length=193),
]
RepoId = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}$", max_length=193)
]


def _one_argument(value: str) -> str:
    # Hugging Face refuses empty items of a command, and no process can be given a NUL.
    if not value or "\0" in value:
        raise ValueError("an argument is at least one character, without NUL")
    return value


Argument = Annotated[str, StringConstraints(max_length=8192), AfterValidator(_one_argument)]
Scalar = bool | int | float | Argument


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
    args: dict[str, Scalar | list[Scalar] | dict[str, Any] | None] = Field(default_factory=dict)
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
                raise ValueError(f"'{name}' is set by the service: use {OWNED_FLAGS[owned]}")
            if isinstance(value, list) and (not value or any(str(item).startswith("-") for item in value)):
                raise ValueError(f"'{name}': a list has at least one item, and no item begins with a dash")
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
            raise ValueError(f"the script has {size} bytes; at most {MAX_SCRIPT_BYTES} can travel with a job")
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
