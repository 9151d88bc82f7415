"""Chats need a template that turns them into text: the model's own, or one that the recipe names."""

from __future__ import annotations

from collections.abc import Mapping

from service.domain.check_dataset import CHAT_COLUMNS, columns_of
from service.domain.facts import DatasetFact, ModelFact, MountFact, Outcome
from service.domain.finding import Finding, failed, passed, unknown
from service.domain.run import Reason
from service.domain.subject import Fact, Kind, Subject
from service.domain.wanted import MAIN, Wanted, mount_of

NAME = "chat_template"
FIELD = "recipe.chat_template_path"


def check_template(wanted: Wanted, model: ModelFact, dataset: DatasetFact, facts: Mapping[Subject, Fact]) -> Finding:
    """Where a template is named TRL takes it, whatever the data is: it has to be there."""
    if wanted.template_from is not None:
        return _named(wanted, wanted.template_from, facts)
    columns = columns_of(wanted.data, dataset) if wanted.data is not None else None
    if columns is None or not model.is_found:
        return unknown(NAME, "the columns are not known")
    if not CHAT_COLUMNS & set(columns):
        return passed(NAME, "the data is no chat: none is needed")
    if model.has_chat_template is None:
        return unknown(NAME, "the model's tokenizer could not be read")
    if model.has_chat_template:
        return passed(NAME, "the model's tokenizer has one")
    message = f"{wanted.model} has no chat template, and the data is chats: TRL would refuse to start"
    remedy = "Give the path or id of one, such as the instruct model of the same family."
    return failed(NAME, message, Reason.DATASET_FORMAT, FIELD, remedy)


def _named(wanted: Wanted, place: str, facts: Mapping[Subject, Fact]) -> Finding:
    """A repository, or a file below something that is mounted."""
    field = wanted.fields.get("chat_template_path", FIELD)
    if wanted.template_repo is not None:
        fact = facts.get(Subject(Kind.TEMPLATE, wanted.template_repo, MAIN))
        return _of_repo(place, field, fact) if isinstance(fact, ModelFact) else unknown(NAME, "it was not asked for")
    if (mounted := wanted.template_mount) is not None:
        volume, path = mounted
        mount = facts.get(mount_of(volume, path))
        if isinstance(mount, MountFact) and mount.is_found and mount.has_path is False:
            message = f"the {volume.type} {volume.source}, mounted at {volume.mount_path}, has no '{path}'"
            return failed(NAME, message, Reason.BAD_ARGUMENT, field, "Name a file that it has.")
        is_there = isinstance(mount, MountFact) and mount.is_found and mount.has_path
        return passed(NAME, f"{place}, which is mounted") if is_there else unknown(NAME, f"what {place} holds")
    if wanted.has_own_image and place.startswith("/"):
        return unknown(NAME, f"{place} may be in the image")
    message = f"'{place[:100]}' is neither a repository nor a file that the job has"
    remedy = "Give the id of a model with a template, as owner/name, or mount the file with a volume and give its path."
    return failed(NAME, message, Reason.BAD_ARGUMENT, field, remedy)


def _of_repo(repo: str, field: str, fact: ModelFact) -> Finding:
    remedy = "Name a model whose tokenizer has a template, such as the instruct model of the same family."
    match fact.outcome:
        case Outcome.GATED:
            remedy = f"Accept its terms on the page of {repo} as the user of the jobs' token, or name another."
            message = f"{repo}, whose chat template is wanted, is gated: {fact.message}"
            return failed(NAME, message, Reason.GATED_MODEL, field, remedy)
        case Outcome.MISSING:
            message = f"there is no model {repo} that the jobs' token can see, whose chat template is wanted"
            return failed(NAME, message, Reason.MODEL_NOT_FOUND, field, f"{fact.hint} {remedy}".strip())
        case Outcome.UNKNOWN | Outcome.DENIED:
            return unknown(NAME, fact.message)
    if fact.has_chat_template is None:
        return unknown(NAME, f"the tokenizer of {repo} could not be read")
    if not fact.has_chat_template:
        return failed(NAME, f"{repo} has no chat template", Reason.BAD_ARGUMENT, field, remedy)
    return passed(NAME, f"taken from {repo}")
