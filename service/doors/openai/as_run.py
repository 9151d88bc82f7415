"""A fine-tuning job as the run that it is: the body of POST /runs, judged by its rules and no others."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import ValidationError

from service.api.problems import fault_kind, validation_faults
from service.domain.errors import Invalid
from service.domain.flavor_name import AUTO
from service.domain.hub_name import PART
from service.domain.request import RunRequest
from service.domain.trl.batch import ACCUMULATION, PER_DEVICE, Split, split_on
from service.domain.trl.flags import release
from service.domain.trl.preset import fill
from service.domain.trl_sft import TrlSft
from service.doors.openai.asked import JobRequest

T = TypeVar("T")
REFERENCE = re.compile(rf"(?P<repo>{PART}(?:/{PART})?)(?:@(?P<revision>[^:@\s]+))?(?::(?P<split>\S+))?")
EPOCHS, RATE = "num_train_epochs", "learning_rate"
LONGEST_NAME = 96
# Which field of OpenAI's decided a field of the run.
PARAMS = (
    ("recipe.model_name_or_path", "model"),
    ("recipe.dataset_train_split", "training_file"),
    ("recipe.dataset", "training_file"),
    ("recipe.eval", "validation_file"),
    ("recipe.args.seed", "seed"),
    ("secrets.WANDB_API_KEY", "integrations"),
    ("output_repo", "suffix"),
)
KEY, KEY_NAMES = "WANDB_API_KEY", ("WANDB_API_KEY", "wandb", "wandb-api-key")


@dataclass(frozen=True)
class Source:
    """Rows to learn from, or to be measured on."""

    repo: str
    revision: str | None = None
    split: str | None = None
    config: str | None = None


@dataclass(frozen=True)
class Surroundings:
    """What decides a run beside the body: the team's namespace, GPUs of the named flavor, names of the team's secrets,
    the timeout of who gives no bound, and the end of a repository's name that no other job has."""

    namespace: str
    gpus: int
    secrets: frozenset[str]
    timeout_seconds: int
    tail: str


def dataset_of(reference: str, field: str) -> Source:
    """A dataset of the Hub by its reference. Raises Invalid."""
    if (found := REFERENCE.fullmatch(reference)) is None:
        raise Invalid(
            "this is neither the id of a file nor of a dataset",
            field=field,
            remedy="Send the id that client.files.create gave, or a dataset of the Hub as owner/name, "
            "owner/name@revision or owner/name:split.",
        )
    return Source(found["repo"], found["revision"], found["split"])


def split_apart(training: Source, validation: Source) -> Source:
    """The training rows with the split of the same dataset to measure on. Raises Invalid for another dataset."""
    same = (training.repo, training.revision) == (validation.repo, validation.revision or training.revision)
    if not same or validation.split in (None, training.split or "train"):
        raise Invalid(
            "what is evaluated on is another split of the dataset that is trained on",
            field="validation_file",
            remedy=f"Send '{training.repo}:test', say; or upload both as files.",
        )
    return Source(training.repo, training.revision, training.split, training.config)


def run_request(asked: JobRequest, training: Source, evaluated_on: str | None, around: Surroundings) -> RunRequest:
    """The run. Raises Invalid with the field in the job's own words."""
    options = asked.options()
    recipe = _recipe(asked, training, evaluated_on, options.pop("recipe", {}))
    flavor = options.setdefault("flavor", AUTO)
    if "timeout" not in options and "max_cost_usd" not in options:
        options["timeout"] = around.timeout_seconds
    options.setdefault("output_repo", _output(asked, around))
    if asked.integrations:
        wandb = asked.integrations[0].wandb
        told = {"WANDB_PROJECT": wandb.project, "WANDB_ENTITY": wandb.entity, "WANDB_NAME": wandb.name}
        told["WANDB_TAGS"] = ",".join(wandb.tags or ()) or None
        given = {name: value for name, value in told.items() if value is not None}
        options["env"] = {**given, **options.get("env", {})}
        name = next((one for one in KEY_NAMES if one in around.secrets), None)
        if name is not None and KEY not in options.get("secrets", {}):
            options["secrets"] = {**options.get("secrets", {}), KEY: {"ref": name}}
        recipe["report_to"] = "wandb"
    place = in_the_jobs_words(asked)
    _multiply(asked, recipe, flavor if isinstance(flavor, str) else AUTO, around.gpus, place)
    return _read(lambda: RunRequest.model_validate({**options, "recipe": recipe}), place)


def in_the_jobs_words(asked: JobRequest) -> Callable[[str], str]:
    """From a field of the run to the field of the job that decided it."""
    places = {
        f"recipe.args.{EPOCHS}": asked.hyperparameters_field("n_epochs"),
        f"recipe.args.{PER_DEVICE}": asked.hyperparameters_field("batch_size"),
        f"recipe.args.{ACCUMULATION}": asked.hyperparameters_field("batch_size"),
        f"recipe.args.{RATE}": asked.hyperparameters_field("learning_rate_multiplier"),
    }
    own = asked.tunegate.get("recipe", {})

    def place(field: str) -> str:
        if field.startswith("recipe.args.") and field.removeprefix("recipe.args.") in own.get("args", {}):
            return f"tunegate.{field}"
        if field.partition(".")[0] in asked.tunegate and not field.startswith("recipe"):
            return f"tunegate.{field}"
        found = places.get(field) or next((to for of, to in PARAMS if field.startswith(of)), None)
        return found or f"tunegate.{field}"

    return place


def _recipe(asked: JobRequest, training: Source, evaluated_on: str | None, own: dict[str, Any]) -> dict[str, Any]:
    hyper, args = asked.training, {}
    if hyper.n_epochs is not None:
        args[EPOCHS] = float(hyper.n_epochs)
    if asked.seed is not None:
        args["seed"] = asked.seed
    recipe: dict[str, Any] = {
        "kind": "trl_sft",
        "model_name_or_path": asked.model,
        "dataset_name": training.repo,
        "dataset_revision": training.revision,
        "dataset_train_split": training.split,
        "dataset_config": training.config,
        "lora": {},
        "preset": "auto",
        "fit_batch": True,
    }
    if evaluated_on is not None:
        recipe["eval"] = {"strategy": "epoch", "split": evaluated_on}
    twice = sorted({*args} & {*own.get("args", {})})
    if twice:
        raise Invalid(
            f"'{twice[0]}' is given as a field of the job, too", field=f"tunegate.recipe.args.{twice[0]}",
            remedy="Give it once.",
        )  # fmt: skip
    return {**recipe, **own, "args": {**args, **own.get("args", {})}}


def _multiply(asked: JobRequest, recipe: dict[str, Any], flavor: str, gpus: int, place: Callable[[str], str]) -> None:
    """Put batch size and learning rate into a recipe: rows of a step over all GPUs of a named flavor, and a multiple of
    what the preset for the model and flavor says."""
    hyper, args = asked.training, recipe["args"]
    if hyper.batch_size is not None:
        args.update(split_on(Split(hyper.batch_size, 1, 1), max(1, gpus)).as_args())
    if hyper.learning_rate_multiplier is not None:
        read = _read(lambda: TrlSft.model_validate(recipe), place, "recipe.")
        usual = fill(read, flavor, gpus=gpus).args.get(RATE, release(read.trl_version).flags[RATE].default)
        args[RATE] = float(f"{usual * hyper.learning_rate_multiplier:.6g}")


def _read(read: Callable[[], T], place: Callable[[str], str], within: str = "") -> T:
    try:
        return read()
    except ValidationError as error:
        found, kind = validation_faults(error), fault_kind(error)
        errors = [{"field": place(within + one.field), "rule": one.rule, "remedy": one.remedy} for one in found]
        first = errors[0]
        raise kind(str(first["rule"]), field=first["field"], remedy=first["remedy"], errors=errors) from None
    except Invalid as error:
        error.field = None if error.field is None else place(error.field)
        raise


def _output(asked: JobRequest, around: Surroundings) -> str:
    """`namespace/model-suffix-tail`, as OpenAI names a model `ft:model:org:suffix:id`."""
    left = LONGEST_NAME - len(around.namespace) - len(around.tail) - 2
    suffix = _plain(asked.suffix or "ft")[: max(1, left // 2)]
    base = _plain(asked.model.rpartition("/")[2])[: max(1, left - len(suffix) - 1)]
    return f"{around.namespace}/{_plain(f'{base}-{suffix}')}-{around.tail}"


def _plain(text: str) -> str:
    plain = re.sub(r"[^A-Za-z0-9._]+", "-", text)
    return re.sub(r"[.-]*([.-])", r"\1", plain).strip("-.") or "model"
