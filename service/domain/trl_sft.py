"""TRL's maintained SFT script with typed options, as a caller sends it and as it is stored."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from service.domain.argument import Argument
from service.domain.body import Body
from service.domain.errors import BrokenRule, Invalid, together
from service.domain.form import Form
from service.domain.hub_name import HubId
from service.domain.part import parts_of
from service.domain.trl.fields import FIELD_OF, Evaluation, Lora, Quantization
from service.domain.trl.flags import Release, release
from service.domain.trl.names import aliases, field_meant
from service.domain.trl.owned import OWNED_FLAGS, owned_remedy
from service.domain.trl.rules import broken

# The validation context of a recipe out of the database: it was checked when it came, maybe against other descriptions.
STORED = "stored"
DEFAULT_RELEASE = "1.16.0"
ReleaseName = Annotated[
    str,
    Form(
        r"\d{1,4}\.\d{1,4}\.\d{1,4}",
        "a release of TRL is named by its whole version, as a text",
        f"Send '{DEFAULT_RELEASE}', or leave it out.",
    ),
]


class Filled(Body):
    """What the service set: the preset's name, where its numbers are from, the flags and LoRA fields that it filled in,
    the batch as it was split to fit. `asked` is what the caller gave: another flavor is filled for from there."""

    preset: str | None
    source: str
    args: dict[str, Any] = Field(default_factory=dict)
    lora: dict[str, Any] = Field(default_factory=dict)
    batch: dict[str, int] = Field(default_factory=dict)
    asked: dict[str, Any] = Field(default_factory=dict)


class TrlSft(Body):
    """TRL's `sft.py` of one release. `args` are TRL's own flag names without the dashes; the other fields stand for
    flags too, and a flag is given in one of the two places. Rows are chats (`messages`), `text`, or `prompt` and
    `completion`: the script knows them by their columns."""

    kind: Literal["trl_sft"]
    model_name_or_path: HubId
    model_revision: Argument | None = Field(None, description="Branch, tag or commit of the model")
    dataset_name: HubId
    dataset_config: Argument | None = None
    dataset_revision: Argument | None = Field(None, description="Branch, tag or commit of the dataset")
    dataset_train_split: Argument | None = Field(None, description="TRL's default is 'train'")
    chat_template_path: Argument | None = Field(
        None, description="A model whose chat template is used, for a base model that has none"
    )
    packing: bool | None = Field(None, description="Several rows in one sequence of max_length")
    args: dict[str, Any] = Field(default_factory=dict, max_length=500)
    lora: Lora | None = Field(None, description="Low-rank adapters; without it, all weights are trained")
    quantization: Quantization | None = Field(None, description="The frozen model in 4 or 8 bits (QLoRA); needs lora")
    eval: Evaluation | None = None
    report_to: Literal["trackio", "wandb", "tensorboard", "none"] = "none"
    preset: Literal["auto"] | None = Field(None, description="Fill what is left out by a preset for model and flavor")
    fit_batch: bool = Field(
        False,
        description="Halve the batch and double the accumulation until it fits the flavor: the same effective batch",
    )
    filled: Filled | None = Field(None, description="Set by the service: what a preset or fit_batch set")
    trl_version: ReleaseName = DEFAULT_RELEASE

    @field_validator("filled", mode="before")
    @classmethod
    def _filled_here(cls, value: object, info: ValidationInfo) -> object:
        if value is not None and info.context != STORED:
            raise Invalid("'filled' is set by the service", field="recipe.filled", remedy="Leave it out.")
        return value

    @model_validator(mode="after")
    def _flags_are_the_releases(self, info: ValidationInfo) -> TrlSft:
        if info.context == STORED:
            return self
        known = release(self.trl_version)
        if self.quantization is not None and self.lora is None:
            raise Invalid("quantization needs lora", field="recipe.quantization", remedy='Add "lora": {}.')
        if wrong := list(self._wrong_flags(known)):
            raise together(wrong)
        if (found := broken(self.flags(), known)) is not None:
            rule, message = found
            raise Invalid(message, field=self.field_of(rule.flag), remedy=rule.remedy, trl=known.version)
        return self

    def _wrong_flags(self, known: Release) -> Iterator[Invalid]:
        """What is wrong with each flag by itself: a name, a value, or that it is not the caller's to give here."""
        fields = self.field_flags()
        for name, value in self.args.items():
            field = f"recipe.args.{name}"
            if (reason := OWNED_FLAGS.get(name)) is not None:
                yield Invalid(f"'{name}' is set by the service: {reason}", field=field, remedy=owned_remedy(name))
            elif name in fields:
                place = FIELD_OF.get(name, f"recipe.{name}")
                remedy = f"Give it once: leave it out of args, or leave {place} out."
                yield Invalid(f"'{name}' is given as a field of the recipe, too", field=field, remedy=remedy)
            elif (refusal := known.refusal(name, value, field)) is not None:
                yield refusal
        for name, value in fields.items():
            if value is not None and (refusal := known.refusal(name, value, self.field_of(name))) is not None:
                yield refusal
        for name in ("dataset_train_split", "dataset_test_split"):
            if isinstance(split := {**fields, **self.args}.get(name), str):
                try:
                    parts_of(split)
                except BrokenRule as error:
                    yield Invalid(error.rule, field=self.field_of(name), remedy=error.remedy)

    def flags(self) -> dict[str, Any]:
        """Every flag that decides how it trains, by fields and `args`; the model and the dataset are not among them."""
        return {**self.field_flags(), **self.args, "report_to": self.report_to}

    def field_of(self, flag: str) -> str:
        """The field of the body in which a flag is given, or would be."""
        if flag in self.args:
            return f"recipe.args.{flag}"
        if flag in OWNED_FLAGS or flag in self.field_flags():
            return FIELD_OF.get(flag, f"recipe.{flag}")
        return f"recipe.args.{flag}"

    @classmethod
    def suggestion(cls, name: str) -> str:
        """Also for what people call a field, and for flags, whose place is `args`."""
        if (meant := field_meant(name, cls.model_fields)) is not None:
            return meant
        flags = release(DEFAULT_RELEASE).flags
        flag = aliases()["flags"].get(name, name)
        return f"Give '{flag}' in 'args'." if flag in flags and name not in OWNED_FLAGS else super().suggestion(name)

    def as_asked(self) -> TrlSft:
        """The recipe without what the service set."""
        if self.filled is None:
            return self
        asked, changes = self.filled.asked, {"args": self.filled.asked["args"], "filled": None}
        if self.lora is not None:
            changes["lora"] = Lora.model_validate(asked["lora"])
        return self.model_copy(update=changes)

    def given(self) -> dict[str, Any]:
        """What of it the service may add to, as the caller gave it: `asked` of what is filled."""
        return {"args": self.args, "lora": None if self.lora is None else self.lora.model_dump(exclude_unset=True)}

    def field_flags(self) -> dict[str, Any]:
        """The flags of TRL that the optional fields stand for, where they are given."""
        plain = {
            name: getattr(self, name)
            for name in ("model_revision", "dataset_config", "dataset_train_split", "chat_template_path", "packing")
            if getattr(self, name) is not None
        }
        for part in (self.lora, self.quantization, self.eval):
            if part is not None:
                plain |= part.as_flags()
        return plain
