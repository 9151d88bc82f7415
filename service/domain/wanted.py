"""What a run needs of the Hub: the things that preflight looks at before any money is held."""

from __future__ import annotations

from dataclasses import dataclass, field

from service.domain.script import Script
from service.domain.trl.reporting import space_of
from service.domain.trl_sft import TrlSft

MAIN = "main"


@dataclass(frozen=True)
class WantedData:
    """A dataset with what is read of it. `splits` by the field that names each; `text_field` is TRL's column of plain
    text."""

    repo: str
    revision: str
    config: str | None
    splits: dict[str, str] = field(default_factory=dict)
    text_field: str = "text"


@dataclass(frozen=True)
class Wanted:
    """`template_from`: another place that the chat template is taken from, so that the model need not have one.
    `space`: the trackio Space that the job reports to."""

    model: str | None = None
    model_revision: str = MAIN
    template_from: str | None = None
    space: str | None = None
    data: WantedData | None = None


def wanted_of(recipe: TrlSft | Script) -> Wanted:
    """What a recipe names. A script says nothing of what it reads."""
    if isinstance(recipe, Script):
        return Wanted()
    flags = {**recipe.field_flags(), **recipe.args}
    splits = {"dataset_train_split": str(flags.get("dataset_train_split") or "train")}
    if flags.get("eval_strategy", "no") not in ("no", None):
        splits["dataset_test_split"] = str(flags.get("dataset_test_split") or "test")
    return Wanted(
        model=recipe.model_name_or_path,
        model_revision=str(flags.get("model_revision") or MAIN),
        template_from=_text(flags.get("chat_template_path")),
        space=space_of(recipe.flags()),
        data=WantedData(
            repo=recipe.dataset_name,
            revision=recipe.dataset_revision or MAIN,
            config=recipe.dataset_config,
            splits=splits,
            text_field=str(flags.get("dataset_text_field") or "text"),
        ),
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
