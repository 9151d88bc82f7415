"""What a caller asks for: the body of POST /runs, with the rules that need nothing but the body itself."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from service.domain.access import UserName
from service.domain.body import AwareMoment, Usd
from service.domain.checkpoints import MOUNT_PATH, Asked
from service.domain.checkpoints import refusal as checkpoints_refusal
from service.domain.clear_text import ClearBody
from service.domain.duration import Seconds
from service.domain.endpoint import MOST_PER_RUN, RunWebhook
from service.domain.errors import BrokenRule, Invalid
from service.domain.flavor_name import AUTO, FlavorName
from service.domain.follow_up import MOST_FOLLOW_UPS, FollowUp
from service.domain.form import Form
from service.domain.guards import Guards
from service.domain.hub_name import RepoId
from service.domain.image import ImageName
from service.domain.job import LABEL_PREFIX
from service.domain.pilot import Pilot
from service.domain.recipe import Recipe, auto_refusal
from service.domain.repair import Retry
from service.domain.secret_ref import SecretRef, Secrets, plain_in
from service.domain.trl.flags import release
from service.domain.trl.names import place_meant
from service.domain.trl.places import missing_file
from service.domain.trl.reporting import reporting_refusal
from service.domain.trl_sft import DEFAULT_RELEASE, TrlSft
from service.domain.variables import MAX_VALUE_BYTES, check_env, check_secrets, goes_offline
from service.domain.volume import MOST_VOLUMES, Volume, check_apart

LABEL_NAME = re.compile(r"[a-zA-Z0-9._-]{1,100}")
LABEL_VALUE = re.compile(r"[a-zA-Z0-9._-]{0,100}")

Text = Annotated[str, StringConstraints(max_length=MAX_VALUE_BYTES)]

Namespace = Annotated[
    str,
    Form(
        r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}",
        "a namespace is the name of a user or an organisation on the Hub",
        "Send it alone, such as 'acme', without '@' and without '/'.",
    ),
]
GroupId = Annotated[
    str,
    Form(
        r"[0-9a-f]{24}", "a resource group's id is 24 digits from 0 to f", "Copy it from the organisation's settings."
    ),
]


class RunRequest(ClearBody):
    """One supervised fine-tuning run. `timeout` or `max_cost_usd` must be given; with only the latter, the timeout is
    the longest that the money allows."""

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
    namespace: Namespace | None = None
    image: ImageName | None = Field(
        None, description="Container image, one that the installation allows; the service's own if left out"
    )
    volumes: list[Volume] = Field(default_factory=list, max_length=MOST_VOLUMES, description="What the job mounts")
    resource_group: GroupId | None = Field(
        None, description="Id of the organisation's resource group that the job belongs to"
    )
    env: dict[str, Text] = Field(default_factory=dict, max_length=100)
    secrets: Secrets = Field(
        default_factory=dict,
        description="Values, encrypted and wiped when the run ends; or names of secrets that the team keeps",
    )
    priority: int = Field(50, ge=0, le=100, description="Higher starts first, within the team")
    labels: dict[str, str] = Field(default_factory=dict, max_length=50)
    after: list[Annotated[str, StringConstraints(max_length=64)]] = Field(
        default_factory=list, max_length=100, description="Runs that must have succeeded before this one starts"
    )
    on_behalf_of: UserName | None = Field(
        None,
        description="The user whose run it is, for keys with the scope `runs:on_behalf_of`; the key's own if left out",
    )
    start_before: AwareMoment | None = Field(None, description="A run not started by then is cancelled")
    reuse: Literal["never", "allow"] = Field(
        "never", description="`allow`: a run of the team with the same inputs that succeeded answers with its model"
    )
    lineage_card: bool = Field(
        False, description="Write into the model's README how it was made: inputs, settings, cost"
    )
    retry: Retry | None = Field(None, description="Tries after a failure; without it, what is sensible is only offered")
    checkpoints: Asked = Field(
        "auto",
        description="Kept in a bucket of the run's own, so that a later attempt goes on from there: `auto`, for "
        "trl_sft runs of over an hour; a script with `on` finds the folder as TUNEGATE_CHECKPOINTS",
    )
    guards: Guards = Field(default_factory=Guards, description="What is done when the training goes wrong as it runs")
    pilot: Pilot | None = Field(None, description="A few steps first, as a child run; the run starts only if it passes")
    then: list[FollowUp] = Field(
        default_factory=list,
        max_length=MOST_FOLLOW_UPS,
        description="Child runs that go on from its model once it has succeeded, in this order",
    )
    webhooks: list[RunWebhook] = Field(
        default_factory=list, max_length=MOST_PER_RUN, description="Endpoints that are told of this run alone"
    )
    team: str | None = Field(None, description="For admins, whose keys belong to no team")

    @classmethod
    def suggestion(cls, name: str) -> str:
        """Also for what people call a field, and for what belongs into the recipe."""
        return place_meant(name, release(DEFAULT_RELEASE).flags) or super().suggestion(name)

    @field_validator("volumes")
    @classmethod
    def _apart(cls, volumes: list[Volume]) -> list[Volume]:
        check_apart(volumes)
        return volumes

    @field_validator("env")
    @classmethod
    def _env(cls, env: dict[str, str]) -> dict[str, str]:
        check_env(env)
        return env

    @field_validator("secrets")
    @classmethod
    def _secrets(cls, secrets: dict[str, str | SecretRef]) -> dict[str, str | SecretRef]:
        check_secrets({**dict.fromkeys(secrets), **plain_in(secrets)})
        return secrets

    @field_validator("after")
    @classmethod
    def _once_each(cls, after: list[str]) -> list[str]:
        if len(set(after)) < len(after):
            raise BrokenRule("a run is named twice", "Name each run once.")
        return after

    @field_validator("labels")
    @classmethod
    def _label_form(cls, labels: dict[str, str]) -> dict[str, str]:
        return check_labels(labels)

    @model_validator(mode="after")
    def _fits_together(self) -> RunRequest:
        self._refuse_contradictions()
        if (found := self.lacks()) is not None:
            raise found
        is_trl = isinstance(self.recipe, TrlSft)
        if self.timeout is None and self.max_cost_usd is None:
            raise _broken(
                "timeout",
                "give 'timeout', 'max_cost_usd', or both: a run without a bound can cost anything",
                'Add "timeout": "2h", say.',
            )
        if is_trl and self.output_repo is None:
            raise _broken(
                "output_repo",
                "give 'output_repo': trl_sft publishes its model there",
                "Add it, as owner/name.",
            )
        if self.flavor == AUTO and (refusal := auto_refusal(self.recipe)) is not None:
            raise _broken("flavor", *refusal)
        if self.lineage_card and self.output_repo is None:
            raise _broken(
                "output_repo", "'lineage_card' is written into output_repo: give one", "Add it, as owner/name."
            )
        return self

    def _given(self) -> dict[str, str | None]:
        """The secrets as far as the body says."""
        return {**dict.fromkeys(self.secrets), **plain_in(self.secrets)}

    def lacks(self) -> Invalid | None:
        """What the recipe needs and the job will not have, as the body stands; None where there is nothing."""
        if not isinstance(self.recipe, TrlSft):
            return None
        flags = self.recipe.flags()
        if (found := missing_file(flags, [volume.mount_path for volume in self.volumes])) is not None:
            return Invalid(found[1], field=self.recipe.field_of(found[0]), remedy=found[2])
        if (refusal := reporting_refusal(flags, self.env, self._given())) is not None:
            return Invalid(refusal[1], field=refusal[0], remedy=refusal[2])
        return None

    def _refuse_contradictions(self) -> None:
        """Raise where two things that the body says do not go together, whatever it leaves out."""
        for index, volume in enumerate(self.volumes):
            if f"{volume.mount_path}/".startswith(f"{MOUNT_PATH}/") and self.checkpoints != "off":
                raise _broken(
                    f"volumes.{index}.mount_path",
                    f"{MOUNT_PATH} is where the service keeps checkpoints",
                    'Mount it elsewhere, or set "checkpoints": "off".',
                )
        if both := sorted(self.env.keys() & self.secrets.keys()):
            raise _broken(
                f"env.{both[0]}", f"'{both[0]}' is in env and in secrets; choose one", "Give it in one of them."
            )
        leaves_open = AUTO in (self.flavor, None if self.pilot is None else self.pilot.flavor)
        if "optimize" in self.model_fields_set and not leaves_open:
            raise _broken(
                "optimize",
                f"'optimize' says what 'auto' looks for, and the flavor is named: {self.flavor}",
                'Leave optimize out, or send "flavor": "auto".',
            )
        recipe = self.recipe
        if not isinstance(recipe, TrlSft):
            return
        if (offline := goes_offline({**self.env, **plain_in(self.secrets)})) is not None:
            raise _broken(
                f"{'env' if offline in self.env else 'secrets'}.{offline}",
                "without the Hub there is no model to begin from, and nowhere to publish the trained one",
                "Leave it out.",
            )
        if self.checkpoints == "on" and (why := checkpoints_refusal(recipe, "on")) is not None:
            raise _broken(
                "checkpoints", f"there are none to go on from: {why}", "Change that, or leave checkpoints out."
            )
        if self.output_repo == recipe.model_name_or_path:
            raise _broken(
                "output_repo",
                "the trained model would replace the one that it begins from",
                "Name another repository.",
            )
        steps = recipe.flags().get("max_steps", -1)
        if self.pilot is not None and 0 < steps <= self.pilot.max_steps:
            raise Invalid(
                f"a pilot of {self.pilot.max_steps} steps is no shorter than the run, which has {steps}",
                field="pilot.max_steps",
                remedy="Leave the pilot out." if steps == 1 else f"Set it below {steps}, or leave the pilot out.",
            )


def check_labels(labels: dict[str, str]) -> dict[str, str]:
    """Labels that Hugging Face takes and that are the caller's to set; raises BrokenRule for others."""
    for name, value in labels.items():
        if not LABEL_NAME.fullmatch(name) or not LABEL_VALUE.fullmatch(value):
            raise BrokenRule(
                f"'{name[:100]}': names and values of labels hold letters, digits, '.', '_', '-'; at most 100",
                "Write it with '-' in place of blanks and other signs.",
                at=name or None,
            )
        if name.startswith(LABEL_PREFIX) or name == "name":
            raise BrokenRule(f"'{name}': the service sets this label itself", "Choose another name.", at=name)
    return labels


def _broken(field: str, rule: str, remedy: str) -> BrokenRule:
    return BrokenRule(rule, remedy, at=field)
