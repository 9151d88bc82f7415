"""The body of POST /v1/fine_tuning/jobs, field by field as openai-python sends it (`types/fine_tuning/
job_create_params.py`), with `tunegate` beside it for what OpenAI has no word for."""

from __future__ import annotations

from math import isfinite
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from service.domain.body import Body
from service.domain.clear_text import refuse_secrets
from service.domain.errors import BrokenRule, Invalid
from service.domain.request import RunRequest

AUTO = "auto"
MOST_PAIRS, LONGEST_KEY, LONGEST_VALUE = 16, 64, 512
MOST_SEED = 2**31 - 1
# What says how a job trains is OpenAI's to say, or goes into `recipe`.
OPTIONS = tuple(name for name in RunRequest.model_fields)
PREFIX = "tunegate."
# Options that a tool without `extra_body` gives by `metadata`.
BY_METADATA = ("flavor", "timeout", "max_cost_usd", "output_repo", "team", "priority", "on_behalf_of")
OWN_RECIPE = {"kind": "model", "model_name_or_path": "model", "dataset_name": "training_file"}
OTHER_METHODS = ("dpo", "reinforcement")


def _whole(value: object) -> object:
    if value is None or value == AUTO:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 100_000:
        raise BrokenRule("takes 'auto' or a whole number from 1 to 100,000", "Send 'auto', or leave it out.")
    return value


def _factor(value: object) -> object:
    if value is None or value == AUTO:
        return None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not isfinite(float(str(value))) or not 0 < float(str(value)) <= 1000:
        raise BrokenRule("takes 'auto' or a number above 0, 1000 at most", "Send 'auto', or leave it out.")
    return float(str(value))


Whole = Annotated[int | None, BeforeValidator(_whole)]


class Hyperparameters(Body):
    """`auto` is None."""

    batch_size: Whole = None
    learning_rate_multiplier: Annotated[float | None, BeforeValidator(_factor)] = None
    n_epochs: Whole = None


class Supervised(Body):
    """Of a method."""

    hyperparameters: Hyperparameters | None = None


class Method(Body):
    """Only supervised fine-tuning is done here."""

    type: str
    supervised: Supervised | None = None
    dpo: Any = None
    reinforcement: Any = None

    @model_validator(mode="after")
    def _is_supervised(self) -> Method:
        if self.type != "supervised":
            raise BrokenRule(
                f"the method '{self.type[:50]}' is not done here, only 'supervised'",
                "Send method.type='supervised'; a script of your own (POST /runs) may train in other ways.",
                at="type",
            )
        for name in OTHER_METHODS:
            if getattr(self, name) is not None:
                raise BrokenRule(f"'{name}' does not go with the type 'supervised'", "Leave it out.", at=name)
        return self


class Wandb(Body):
    """Where Weights & Biases shows the run."""

    project: str = Field(min_length=1, max_length=128)
    entity: str | None = Field(None, max_length=128)
    name: str | None = Field(None, max_length=128)
    tags: list[str] | None = Field(None, max_length=50)


class Integration(Body):
    """The only one that OpenAI has, too."""

    type: Literal["wandb"]
    wandb: Wandb


class JobRequest(Body):
    """One fine-tuning job. `training_file` and `validation_file`: a file's id, or a dataset of the Hub, as
    `owner/name`, `owner/name@revision`, and `:split` behind either."""

    model: str = Field(min_length=1, max_length=200)
    training_file: str = Field(min_length=1, max_length=300)
    validation_file: str | None = Field(None, min_length=1, max_length=300)
    hyperparameters: Hyperparameters | None = None
    method: Method | None = None
    suffix: str | None = Field(None, min_length=1, max_length=64)
    seed: int | None = Field(None, ge=0, le=MOST_SEED)
    metadata: dict[str, str] | None = None
    integrations: list[Integration] | None = Field(None, max_length=1)
    tunegate: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _no_secret_in_clear(cls, value: Any) -> Any:
        # what `tunegate` says is a part of the run's body, which has a place for secrets
        if isinstance(value, dict):
            refuse_secrets({name: one for name, one in value.items() if name != "tunegate"})
        return value

    @field_validator("metadata")
    @classmethod
    def _as_openai_has_it(cls, metadata: dict[str, str] | None) -> dict[str, str] | None:
        if len(metadata or {}) > MOST_PAIRS:
            raise BrokenRule(f"there are at most {MOST_PAIRS} pairs", "Leave the others out.")
        for name, value in (metadata or {}).items():
            if not 0 < len(name) <= LONGEST_KEY or len(value) > LONGEST_VALUE:
                raise BrokenRule(
                    f"a name has 1 to {LONGEST_KEY} characters, a value at most {LONGEST_VALUE}",
                    "Shorten it.",
                    at=name[:LONGEST_KEY] or None,
                )
            if name.startswith(PREFIX) and name.removeprefix(PREFIX) not in BY_METADATA:
                raise BrokenRule(
                    f"there is no option '{name}'", f"After '{PREFIX}' may stand {', '.join(BY_METADATA)}.", at=name
                )
        return metadata

    @field_validator("tunegate")
    @classmethod
    def _known_options(cls, options: dict[str, Any]) -> dict[str, Any]:
        for name in options:
            if name not in OPTIONS:
                raise BrokenRule(
                    f"there is no option '{name[:50]}'", f"It takes the fields of POST /runs: {', '.join(OPTIONS)}.",
                    at=name[:50],
                )  # fmt: skip
        recipe = options.get("recipe", {})
        if not isinstance(recipe, dict) or not isinstance(recipe.get("args", {}), dict):
            raise BrokenRule("'recipe' is an object, and so are its 'args'", "See docs/recipes.md.", at="recipe")
        for name in recipe.keys() & OWN_RECIPE.keys():
            raise BrokenRule(f"'{name}' is given as '{OWN_RECIPE[name]}'", "Leave it out.", at=f"recipe.{name}")
        return options

    @model_validator(mode="after")
    def _once(self) -> JobRequest:
        if self.hyperparameters is not None and self.method is not None and self.method.supervised is not None:
            raise BrokenRule(
                "'hyperparameters' and 'method' are two places for the same", "Leave it out: it is the older one.",
                at="hyperparameters",
            )  # fmt: skip
        return self

    @property
    def training(self) -> Hyperparameters:
        """The hyperparameters, wherever they stand."""
        supervised = None if self.method is None else self.method.supervised
        newer = None if supervised is None else supervised.hyperparameters
        return newer or self.hyperparameters or Hyperparameters()

    def options(self) -> dict[str, Any]:
        """What was asked for beside OpenAI's own fields, by the names of POST /runs. Raises Invalid for what is given
        in two places."""
        told: dict[str, Any] = {}
        for name, value in (self.metadata or {}).items():
            if name.startswith(PREFIX):
                told[name.removeprefix(PREFIX)] = _number(value) if name.endswith(("_usd", "priority")) else value
        if twice := sorted(told.keys() & self.tunegate.keys()):
            raise Invalid(
                f"'{twice[0]}' is given in 'metadata' and in 'tunegate'",
                field=f"metadata.{PREFIX}{twice[0]}",
                remedy="Give it in one of them.",
            )
        return {**told, **self.tunegate}

    def hyperparameters_field(self, name: str) -> str:
        """Where one of them stands, or would."""
        place = "hyperparameters" if self.hyperparameters is not None else "method.supervised.hyperparameters"
        return f"{place}.{name}"


def _number(text: str) -> object:
    try:
        return int(text) if text.lstrip("-").isdecimal() else float(text)
    except ValueError:
        return text  # judged as it is, by the rule of its field
