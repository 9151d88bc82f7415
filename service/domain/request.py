"""What a caller asks for: the body of POST /runs, with the rules that need nothing but the body itself."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from service.domain.body import AwareMoment, Body, Usd
from service.domain.clear_text import refuse_secrets
from service.domain.duration import Seconds
from service.domain.errors import Invalid
from service.domain.flavor_name import AUTO, FlavorName
from service.domain.guards import Guards
from service.domain.hub_name import RepoId
from service.domain.image import ImageName
from service.domain.job import LABEL_PREFIX
from service.domain.pilot import Pilot
from service.domain.recipe import Recipe
from service.domain.trl.places import missing_file
from service.domain.trl.reporting import reporting_refusal
from service.domain.trl_sft import TrlSft
from service.domain.volume import MOST_VOLUMES, Volume, check_apart

# Hugging Face's own rules for a job's variables and labels (Hub OpenAPI, 2026-08): a job that breaks one is refused
# whole, so they are kept here, before anything waits or costs.
ENV_NAME = re.compile(r"[a-zA-Z][_a-zA-Z0-9]+")
SECRET_NAME = re.compile(r"[a-zA-Z][_a-zA-Z0-9]*")
LABEL_NAME = re.compile(r"[a-zA-Z0-9._-]{1,100}")
LABEL_VALUE = re.compile(r"[a-zA-Z0-9._-]{0,100}")
RESERVED_NAMES = frozenset({"HF_TOKEN", "HF_ENDPOINT", "JOB_ID", "ACCELERATOR", "CPU_CORES", "MEMORY"})
MAX_VALUE_BYTES = 64 * 1024

Text = Annotated[str, StringConstraints(max_length=MAX_VALUE_BYTES)]


class RunRequest(Body):
    """One supervised fine-tuning run. `timeout` or `max_cost_usd` must be given; with only the latter, the timeout is
    the longest that the money allows."""

    not_available: ClassVar[dict[str, str]] = {
        "retry": "runs are not repeated by themselves",
        "on_behalf_of": "a run belongs to the key that submits it",
    }

    recipe: Recipe
    flavor: FlavorName = Field(
        description="Hugging Face hardware; GET /flavors lists it with prices. `auto` takes the cheapest that fits",
        examples=["a10g-large"],
    )
    optimize: Literal["cheapest", "fastest"] = Field(
        "cheapest", description="What `auto` looks for; `fastest` stays within max_cost_usd"
    )
    force: bool = Field(False, description="Submit although the estimate says that it does not fit or not end in time")
    timeout: Seconds | None = None
    max_cost_usd: Usd | None = None
    output_repo: RepoId | None = Field(None, description="Where the model goes; `script` recipes may leave it out")
    namespace: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}$")] | None = None
    image: ImageName | None = Field(
        None, description="Container image, one that the installation allows; the service's own if left out"
    )
    volumes: list[Volume] = Field(default_factory=list, max_length=MOST_VOLUMES, description="What the job mounts")
    resource_group: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{24}$")] | None = Field(
        None, description="Id of the organisation's resource group that the job belongs to"
    )
    env: dict[str, Text] = Field(default_factory=dict, max_length=100)
    secrets: dict[str, Text] = Field(default_factory=dict, max_length=100)
    priority: int = Field(50, ge=0, le=100, description="Higher starts first, within the team")
    labels: dict[str, str] = Field(default_factory=dict, max_length=50)
    after: list[Annotated[str, StringConstraints(max_length=64)]] = Field(
        default_factory=list, max_length=100, description="Runs that must have succeeded before this one starts"
    )
    start_before: AwareMoment | None = Field(None, description="A run not started by then is cancelled")
    reuse: Literal["never", "allow"] = Field(
        "never", description="`allow`: a run of the team with the same inputs that succeeded answers with its model"
    )
    lineage_card: bool = Field(
        False, description="Write into the model's README how it was made: inputs, settings, cost"
    )
    guards: Guards = Field(default_factory=Guards, description="What is done when the training goes wrong as it runs")
    pilot: Pilot | None = Field(None, description="A few steps first, as a child run; the run starts only if it passes")
    team: str | None = Field(None, description="For admins, whose keys belong to no team")

    @model_validator(mode="before")
    @classmethod
    def _no_secret_in_clear(cls, value: Any) -> Any:
        # before every other rule, some of which quote what they refuse
        if isinstance(value, dict):
            refuse_secrets(value)
        return value

    @field_validator("volumes")
    @classmethod
    def _apart(cls, volumes: list[Volume]) -> list[Volume]:
        check_apart(volumes)
        return volumes

    @field_validator("env")
    @classmethod
    def _env_names(cls, env: dict[str, str]) -> dict[str, str]:
        _check_names(env, ENV_NAME, "a letter, then at least one letter, digit or underscore")
        return env

    @field_validator("secrets")
    @classmethod
    def _secret_names(cls, secrets: dict[str, str]) -> dict[str, str]:
        _check_names(secrets, SECRET_NAME, "a letter, then letters, digits and underscores")
        for name, value in secrets.items():
            if not value:
                raise ValueError(f"the secret '{name}' is empty")
        return secrets

    @field_validator("labels")
    @classmethod
    def _label_form(cls, labels: dict[str, str]) -> dict[str, str]:
        return check_labels(labels)

    @model_validator(mode="after")
    def _fits_together(self) -> RunRequest:
        self._refuse_what_is_not_there()
        if self.timeout is None and self.max_cost_usd is None:
            raise ValueError("give 'timeout', 'max_cost_usd', or both: a run without a bound can cost anything")
        if isinstance(self.recipe, TrlSft) and self.output_repo is None:
            raise ValueError("give 'output_repo': trl_sft publishes its model there")
        if not isinstance(self.recipe, TrlSft) and self.flavor == AUTO:
            raise ValueError("'flavor': 'auto' is for trl_sft recipes; nothing is known of what a script needs")
        if self.lineage_card and self.output_repo is None:
            raise ValueError("'lineage_card' is written into output_repo: give one")
        if both := sorted(self.env.keys() & self.secrets.keys()):
            raise ValueError(f"'{both[0]}' is in env and in secrets; choose one")
        return self

    def _refuse_what_is_not_there(self) -> None:
        """Raise Invalid where the recipe needs what the job will not have, or a pilot would be longer than the run."""
        recipe = self.recipe
        if not isinstance(recipe, TrlSft):
            return
        flags = recipe.flags()
        if (found := missing_file(flags, [volume.mount_path for volume in self.volumes])) is not None:
            raise Invalid(found[1], field=recipe.field_of(found[0]), remedy=found[2])
        if (refusal := reporting_refusal(flags, self.env, self.secrets)) is not None:
            raise Invalid(refusal[1], field=refusal[0], remedy=refusal[2])
        steps = flags.get("max_steps", -1)
        if self.pilot is not None and 0 < steps <= self.pilot.max_steps:
            raise Invalid(
                f"a pilot of {self.pilot.max_steps} steps is no shorter than the run, which has {steps}",
                field="pilot.max_steps",
                remedy="Leave the pilot out." if steps == 1 else f"Set it below {steps}, or leave the pilot out.",
            )


def check_labels(labels: dict[str, str]) -> dict[str, str]:
    """Labels that Hugging Face takes and that are the caller's to set; raises ValueError for others."""
    for name, value in labels.items():
        if not LABEL_NAME.fullmatch(name) or not LABEL_VALUE.fullmatch(value):
            raise ValueError(f"'{name}': names and values of labels hold letters, digits, '.', '_', '-'; at most 100")
        if name.startswith(LABEL_PREFIX) or name == "name":
            raise ValueError(f"'{name}': the service sets this label itself")
    return labels


def _check_names(variables: dict[str, str], form: re.Pattern[str], rule: str) -> None:
    for name, value in variables.items():
        if not form.fullmatch(name):
            raise ValueError(f"'{name}': a variable's name is {rule}")
        if name.upper() in RESERVED_NAMES or name.upper().startswith("TUNEGATE_"):
            raise ValueError(f"'{name}' is set by the service or by Hugging Face")
        if "\0" in value:
            raise ValueError(f"'{name}': a value holds no NUL character")
        if len(value.encode()) > MAX_VALUE_BYTES:
            raise ValueError(f"'{name}': a value has at most {MAX_VALUE_BYTES} bytes")
