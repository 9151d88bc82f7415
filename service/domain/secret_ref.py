"""Secrets of a run: values of its own, or the names of secrets that its team keeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from service.domain.errors import BrokenRule
from service.domain.form import Form
from service.domain.variables import MAX_VALUE_BYTES

NAME = Form(
    r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,63}",
    "a secret's name is of letters, digits, '.', '_' and '-', at most 64",
    "Write it as 'wandb'.",
)
SecretName = Annotated[str, NAME]
# In place of a team's secret: the token that the run's job is given, under one more name.
JOB_TOKEN = "hf-job-token"


class SecretRef(BaseModel):
    """A secret of the team's by its name, in place of a value; PUT /teams/{team}/secrets/{name} keeps one. The name
    `hf-job-token` stands for the token that the job is given as its HF_TOKEN."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    ref: SecretName = Field(examples=["wandb"])


def _forms(value: Any) -> Any:
    """Raise BrokenRule, with the place and never the value, for what is neither a text nor a reference."""
    for name, one in value.items() if isinstance(value, dict) else ():
        if isinstance(one, str):
            if len(one) > MAX_VALUE_BYTES:
                rule = f"a value has at most {MAX_VALUE_BYTES} bytes"
                raise BrokenRule(rule, "Send less; files come by 'volumes'.", at=str(name))
        elif isinstance(one, dict) and set(one) == {"ref"} and isinstance(one["ref"], str):
            try:
                NAME.check(one["ref"])
            except BrokenRule as error:
                raise BrokenRule(error.rule, error.remedy, at=f"{name}.ref") from None
        elif not isinstance(one, SecretRef):
            raise BrokenRule(
                "a secret is a text, or names one that the team keeps",
                'Send its value in double quotes, or {"ref": "wandb"}.',
                at=str(name),
            )
    return value


# By the variable that a job finds it in.
Secrets = Annotated[
    dict[str, str | SecretRef],
    Field(max_length=100),
    BeforeValidator(_forms),
    Field(examples=[{"WANDB_API_KEY": {"ref": "wandb"}}]),
]


def plain_in(secrets: Mapping[str, str | SecretRef]) -> dict[str, str]:
    """Those that came with their value."""
    return {name: value for name, value in secrets.items() if isinstance(value, str)}


def refs_in(secrets: Mapping[str, str | SecretRef]) -> dict[str, str]:
    """The names of the others."""
    return {name: value.ref for name, value in secrets.items() if isinstance(value, SecretRef)}
