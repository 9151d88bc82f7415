"""What a run needs of the Hub: the things that preflight looks at before any money is held."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from service.domain.hub_name import PART
from service.domain.script import Script
from service.domain.subject import Kind, Subject
from service.domain.trl.fields import Lora
from service.domain.trl.reporting import space_of
from service.domain.trl_sft import TrlSft
from service.domain.volume import Volume, volume_pin

MAIN = "main"
REPO = re.compile(rf"{PART}(/{PART})?")
TEMPLATE_FILE = (".jinja", ".j2")


@dataclass(frozen=True)
class WantedData:
    """A dataset with what is read of it. `splits` by the field that names each; `text_field` is TRL's column of plain
    text; `is_prepared`: TRL takes the rows as they are; `needs_chat`: a flag is for chats alone. With fewer than
    `least_rows` there is nothing to train on."""

    repo: str
    revision: str
    config: str | None
    splits: dict[str, str] = field(default_factory=dict)
    text_field: str = "text"
    is_prepared: bool = False
    is_streamed: bool = False
    needs_chat: bool = False
    least_rows: int = 1


@dataclass(frozen=True)
class Training:
    """What of the training decides whether the model can be trained so."""

    trl_version: str
    lora: Lora | None = None
    is_quantised: bool = False
    trusts_code: bool = False
    max_length: int | None = None
    # the model is loaded in a way of the caller's own: from a folder of its repository, from a GGUF file …
    loads_otherwise: bool = False


@dataclass(frozen=True)
class Wanted:
    """`template_from`: another place that the chat template is taken from, so that the model need not have one.
    `space`: the trackio Space that the job reports to.
    `has_own_image`: files may lie in the job that nobody here knows of. `fields`: where a flag was given that is a
    field of the recipe too."""

    model: str | None = None
    model_revision: str = MAIN
    template_from: str | None = None
    space: str | None = None
    data: WantedData | None = None
    training: Training | None = None
    volumes: tuple[Volume, ...] = ()
    has_own_image: bool = False
    fields: Mapping[str, str] = field(default_factory=dict)

    @property
    def template_repo(self) -> str | None:
        """The repository that the template is taken from; None where it is a path, or neither."""
        place = self.template_from
        is_repo = place is not None and REPO.fullmatch(place) and not place.endswith(TEMPLATE_FILE)
        return place if is_repo else None

    @property
    def template_mount(self) -> tuple[Volume, str] | None:
        """The volume that the template's path lies in, and the path within it."""
        place = self.template_from or ""
        for volume in self.volumes:
            if place == volume.mount_path or place.startswith(f"{volume.mount_path}/"):
                inside = place.removeprefix(volume.mount_path).strip("/")
                return volume, "/".join(filter(None, (volume.path, inside)))
        return None

    def subjects(self) -> list[Subject]:
        """What is to be asked about all this."""
        subjects = []
        if self.model is not None:
            subjects.append(Subject(Kind.MODEL, self.model, self.model_revision))
        if self.data is not None:
            subjects.append(Subject(Kind.DATASET, self.data.repo, self.data.revision))
        if self.template_repo is not None:
            subjects.append(Subject(Kind.TEMPLATE, self.template_repo, MAIN))
        if (mounted := self.template_mount) is not None:
            subjects.append(mount_of(*mounted))
        return list(dict.fromkeys([*subjects, *(mount_of(one, one.path or "") for one in self.volumes)]))

    def to_pin(self) -> dict[str, Subject]:
        """What has a commit, by the pin's name. To that of a template's repository the job cannot be held, as TRL takes
        no revision of it; it is noted, for another commit is another input."""
        found = {}
        if self.model is not None:
            found["model_revision"] = Subject(Kind.MODEL, self.model, self.model_revision)
        if self.data is not None:
            found["dataset_revision"] = Subject(Kind.DATASET, self.data.repo, self.data.revision)
        if self.template_repo is not None:
            found["chat_template"] = Subject(Kind.TEMPLATE, self.template_repo, MAIN)
        mounts = {
            volume_pin(one.mount_path): mount_of(one, one.path or "") for one in self.volumes if one.type != "bucket"
        }
        return found | mounts


def stood_for(revision: str, sha: str) -> str:
    """A revision as it was asked for with the commit that it was found at, for people; a commit is said once."""
    short = sha[:12]
    return short if len(revision) > 6 and sha.startswith(revision) else f"{revision}, which is {short}"


def mount_of(volume: Volume, path: str) -> Subject:
    """What is asked about a volume, or about a place within it."""
    return Subject(Kind.MOUNT, f"{volume.type}/{volume.source}", volume.revision or MAIN, path)


def wanted_of(recipe: TrlSft | Script, volumes: Sequence[Volume] = (), image: str | None = None) -> Wanted:
    """What a recipe names, with what its job mounts. A script says nothing of what it reads."""
    mounted, own = tuple(volumes), image is not None
    if isinstance(recipe, Script):
        return Wanted(volumes=mounted, has_own_image=own)
    flags = {**recipe.field_flags(), **recipe.args}
    splits = {"dataset_train_split": str(flags.get("dataset_train_split") or "train")}
    if flags.get("eval_strategy", "no") not in ("no", None):
        splits["dataset_test_split"] = str(flags.get("dataset_test_split") or "test")
    prepared = _object(flags.get("dataset_kwargs")).get("skip_prepare_dataset")
    return Wanted(
        model=recipe.model_name_or_path,
        model_revision=str(flags.get("model_revision") or MAIN),
        template_from=_text(flags.get("chat_template_path")),
        space=space_of(recipe.flags()),
        data=WantedData(
            repo=recipe.dataset_name,
            revision=recipe.dataset_revision or MAIN,
            config=recipe.dataset_config or _text(flags.get("dataset_config")),
            splits=splits,
            text_field=str(flags.get("dataset_text_field") or "text"),
            is_prepared=bool(prepared),
            is_streamed=bool(flags.get("dataset_streaming")),
            needs_chat=flags.get("assistant_only_loss") is True,
            least_rows=_least_rows(flags),
        ),
        training=_training(recipe, flags),
        volumes=mounted,
        has_own_image=own,
        fields={
            "model_revision": _field(recipe, "model_revision", "recipe.model_revision"),
            "dataset_config": _field(recipe, "dataset_config", "recipe.dataset_config"),
            "chat_template_path": _field(recipe, "chat_template_path", "recipe.chat_template_path"),
            "dataset_train_split": _field(recipe, "dataset_train_split", "recipe.dataset_train_split"),
            # evaluation may be asked for by TRL's flags alone
            "dataset_test_split": "recipe.args.dataset_test_split" if recipe.eval is None else "recipe.eval.split",
        },
    )


def _training(recipe: TrlSft, flags: Mapping[str, Any]) -> Training:
    inner = _object(flags.get("model_init_kwargs"))
    length = flags.get("max_length")
    return Training(
        trl_version=recipe.trl_version,
        lora=recipe.lora,
        is_quantised=recipe.quantization is not None,
        trusts_code=bool(flags.get("trust_remote_code") or inner.get("trust_remote_code")),
        max_length=length if isinstance(length, int) and not isinstance(length, bool) else None,
        loads_otherwise=bool(inner.keys() & {"subfolder", "gguf_file", "config", "variant", "quantization_config"}),
    )


def _least_rows(flags: Mapping[str, Any]) -> int:
    """A batch that is not full is left out where the flags say so (TrainingArguments: 8 rows by default)."""
    batch = flags.get("per_device_train_batch_size", 8)
    is_full = bool(flags.get("dataloader_drop_last")) and isinstance(batch, int) and batch > 0
    return batch if is_full else 1


def _field(recipe: TrlSft, flag: str, field_name: str) -> str:
    """Where the caller wrote a flag: in `args`, or in the field that stands for it."""
    return f"recipe.args.{flag}" if flag in recipe.args else field_name


def _object(value: object) -> Mapping[str, Any]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return {}
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
