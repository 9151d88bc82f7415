"""What a caller asks for after a training, in the order in which it is to be done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator

from service.domain.argument import Argument
from service.domain.body import Body
from service.domain.duration import Seconds
from service.domain.errors import BrokenRule, Invalid
from service.domain.flavor_name import AUTO, FlavorName
from service.domain.hub_name import HubId, RepoId
from service.domain.part import parts_of
from service.domain.script import Script
from service.domain.trl_sft import TrlSft

# With the packages' installation and a download of some ten gigabytes, each with room to spare: assumptions.
TIMEOUT_SECONDS: Mapping[str, int] = {"merge_lora": 1800, "smoke_test": 900, "evaluate": 1800}
MOST_FOLLOW_UPS = 10
LONGEST_NAME = 96
PROMPTS = ("Hello! What can you help me with?", "What is the capital of France?", "Write one sentence about the sea.")

Prompt = Annotated[str, StringConstraints(min_length=1, max_length=4000)]


class After(Body):
    """What every follow-up may say of its job."""

    flavor: FlavorName | None = Field(None, description="The run's own if left out")
    timeout: Seconds | None = Field(None, description="30 minutes if left out, 15 for a smoke test")

    @field_validator("flavor")
    @classmethod
    def _is_named(cls, flavor: str | None) -> str | None:
        if flavor == AUTO:
            raise BrokenRule(
                "'auto' is for trl_sft recipes", "Name a flavor, or leave it out: then it is the run's own."
            )
        return flavor


class MergeLora(After):
    """The adapter's weights put into its base model: a model that needs no PEFT, published with its tokenizer."""

    kind: Literal["merge_lora"]
    output_repo: RepoId | None = Field(None, description="Where it goes; the run's with '-merged' if left out")


class SmokeTest(After):
    """The model answers prompts, greedily and with its chat template. It fails where an answer is empty, or mostly the
    same few tokens again and again."""

    kind: Literal["smoke_test"]
    prompts: list[Prompt] = Field(
        default_factory=lambda: list(PROMPTS),
        min_length=1,
        max_length=20,
        description="Each is asked by itself; three of no subject if left out",
    )
    max_new_tokens: int = Field(64, ge=1, le=1024, description="The longest answer")


class Evaluate(After):
    """The loss and the perplexity on the rows of a split, by TRL's trainer."""

    kind: Literal["evaluate"]
    dataset_name: HubId | None = Field(None, description="The run's own, at the commit it was trained on, if left out")
    dataset_config: Argument | None = None
    split: Argument | None = Field(None, description="The one that the run evaluates on, or 'test', if left out")
    batch_size: int = Field(8, ge=1, le=1024, description="Rows per GPU")

    @field_validator("split")
    @classmethod
    def _split_form(cls, split: str | None) -> str | None:
        if split is not None:
            parts_of(split)
        return split


AnyFollowUp = MergeLora | SmokeTest | Evaluate
FollowUp = Annotated[AnyFollowUp, Field(discriminator="kind")]


def check_order(
    recipe: TrlSft | Script, output_repo: str | None, asked: Sequence[AnyFollowUp], has_adapter: bool | None = None
) -> None:
    """Raise Invalid for what cannot follow a run with this recipe. `has_adapter`: whether its model is one, where that
    has been seen."""
    if asked and output_repo is None:
        raise Invalid(
            "nothing can follow a run that publishes no model", field="then", remedy="Give the run an output_repo."
        )
    taken = {str(output_repo).lower()}
    if isinstance(recipe, TrlSft):
        taken.add(recipe.model_name_or_path.lower())
    for at, one in enumerate(asked):
        if isinstance(one, MergeLora):
            _check_merge(f"then.{at}", one, recipe, str(output_repo), has_adapter)
            if (repo := merged_repo(one, str(output_repo))).lower() in taken:
                raise Invalid(
                    f"{repo} is taken by another model of this run",
                    field=f"then.{at}.output_repo",
                    remedy="Name a repository of its own.",
                )
            taken.add(repo.lower())
        if isinstance(one, Evaluate):
            _check_rows(f"then.{at}", one, recipe)


def _check_merge(
    place: str, one: MergeLora, recipe: TrlSft | Script, output_repo: str, has_adapter: bool | None
) -> None:
    is_adapter = isinstance(recipe, TrlSft) and recipe.lora is not None if has_adapter is None else has_adapter
    if not is_adapter:
        is_open = isinstance(recipe, Script) and has_adapter is None
        raise Invalid(
            "nobody knows yet whether the script publishes an adapter"
            if is_open
            else "there is no adapter to be merged: all weights are trained",
            field=f"{place}.kind",
            remedy="Send it to POST /runs/{id}/then once the run has succeeded."
            if is_open
            else "Leave merge_lora out, or train with recipe.lora.",
        )
    if one.output_repo is None and len(merged_repo(one, output_repo)) > LONGEST_NAME:
        raise Invalid(
            f"{merged_repo(one, output_repo)} is too long for a name on the Hub",
            field=f"{place}.output_repo",
            remedy=f"Name one of at most {LONGEST_NAME} characters.",
        )


def _check_rows(place: str, one: Evaluate, recipe: TrlSft | Script) -> None:
    if one.dataset_name is not None:
        return
    if isinstance(recipe, Script):
        raise Invalid(
            "nothing is known of what a script was trained on",
            field=f"{place}.dataset_name",
            remedy="Name the dataset.",
        )
    if one.dataset_config is not None:
        raise Invalid(
            "'dataset_config' goes with 'dataset_name'",
            field=f"{place}.dataset_config",
            remedy="Name both, or leave both out.",
        )


def merged_repo(one: MergeLora, output_repo: str) -> str:
    """Where a merged model goes."""
    return one.output_repo or f"{output_repo}-merged"
