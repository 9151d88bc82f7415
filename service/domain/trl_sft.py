"""TRL's maintained SFT script with typed options, as a caller sends it and as it is stored."""

from __future__ import annotations

import re
from math import isfinite
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, field_validator

from service.domain.argument import Argument
from service.domain.body import Body
from service.domain.hub_name import HubId

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
