"""Preflight: whether what a run names is there and fits together, told from facts, before any money is held.

Each check passes, fails with the field, the rule and the remedy, or is unknown, where the Hub did not tell: unknown is
never taken for failed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from typing import Any

from service.domain.diagnosis import Failure, Retry
from service.domain.duration import MAX_SECONDS
from service.domain.estimate.estimate import FlavorEstimate
from service.domain.facts import AccountFact, DatasetFact, JobsFact, ModelFact, Outcome
from service.domain.foresight import Foresight
from service.domain.run import Reason
from service.domain.wanted import Wanted, WantedData

# TRL 1.16 SFTTrainer: what a dataset may bring (trl/trainer/sft_trainer.py, _prepare_dataset; data_utils.py)
CHAT_COLUMNS = frozenset({"messages", "conversations"})
PAIR_COLUMNS = frozenset({"prompt", "completion"})


# The recipe's own field for each flag of a split.
FIELDS = {"dataset_train_split": "recipe.dataset_train_split", "dataset_test_split": "recipe.eval.split"}


class Verdict(StrEnum):
    """What came of one check."""

    PASSED = "passed"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Finding:
    """One check. A failed one names the cause with which the run ends, and where and how it is mended."""

    check: str
    verdict: Verdict
    message: str
    reason: Reason | None = None
    field: str | None = None
    remedy: str | None = None

    def as_json(self) -> dict[str, Any]:
        """An item of `preflight.checks`."""
        return {
            "check": self.check,
            "outcome": self.verdict.value,
            "message": self.message,
            "field": self.field,
            "remedy": self.remedy,
        }

    def as_failure(self) -> Failure:
        """How a run fails by it."""
        assert self.reason is not None
        return Failure(
            self.reason, self.message, f"preflight: {self.check} ({self.field})", self.remedy or "", Retry.CHANGED
        )


def verdict_of(findings: Iterable[Finding]) -> Verdict:
    """All together: one that failed fails, one that is unknown leaves it unknown."""
    verdicts = {finding.verdict for finding in findings}
    for verdict in (Verdict.FAILED, Verdict.UNKNOWN):
        if verdict in verdicts:
            return verdict
    return Verdict.PASSED


def check_namespace(namespace: str, fact: JobsFact) -> Finding:
    """May the service start jobs there at all."""
    if fact.outcome is Outcome.DENIED:
        return Finding(
            "namespace",
            Verdict.FAILED,
            f"the service's token may not start jobs in '{namespace}': {fact.message}",
            Reason.HUB_FORBIDDEN,
            "namespace",
            "Name a namespace in which it may, or have an admin give its token job.write there.",
        )
    if not fact.is_found:
        return _unknown("namespace", fact.message)
    return Finding("namespace", Verdict.PASSED, f"jobs can be started in {namespace}")


def check_output(repo: str, account: AccountFact) -> Finding:
    """May the job's token commit where the model is to go."""
    if not account.is_found:
        return _unknown("output_repo", account.message)
    owner = repo.partition("/")[0]
    if owner.lower() in {name.lower() for name in account.writable}:
        return Finding("output_repo", Verdict.PASSED, f"the jobs' token may write to {owner}")
    may = f"it may write to {', '.join(sorted(account.writable))}" if account.writable else "it may write nowhere"
    return Finding(
        "output_repo",
        Verdict.FAILED,
        f"'{owner}' is not the service's: the token that jobs are given may not write there; {may}",
        Reason.HUB_FORBIDDEN,
        "output_repo",
        "Choose an output_repo in one of those, or have an admin give the jobs' token rights on it.",
    )


def check_space(space: str, account: AccountFact) -> Finding:
    """May the job's token make or write the trackio Space that it reports to."""
    if not account.is_found:
        return _unknown("trackio_space", account.message)
    owner = space.partition("/")[0]
    if owner.lower() in {name.lower() for name in account.writable}:
        return Finding("trackio_space", Verdict.PASSED, f"the jobs' token may write to {owner}")
    return Finding(
        "trackio_space",
        Verdict.FAILED,
        f"the Space {space} is not the service's: the token that jobs are given may not write there",
        Reason.HUB_FORBIDDEN,
        "recipe.args.trackio_space_id",
        f"Name a Space of {', '.join(sorted(account.writable)) or 'an owner it may write to'}, or leave it out.",
    )


def check_inputs(wanted: Wanted, model: ModelFact | None, dataset: DatasetFact | None) -> list[Finding]:
    """What a recipe takes in, in the order in which a person would look; nothing is said of what was not asked for."""
    findings = [] if model is None else check_model(wanted, model)
    if dataset is not None and wanted.data is not None:
        findings += check_dataset(wanted.data, dataset)
        if model is not None:
            findings.append(check_template(wanted, model, dataset))
    return findings


def check_model(wanted: Wanted, fact: ModelFact) -> list[Finding]:
    """Is the model there, open to the job, and something that TRL can load."""
    name = "model"
    field = "recipe.model_name_or_path"
    if fact.outcome is Outcome.UNKNOWN or fact.outcome is Outcome.DENIED:
        return [_unknown(name, fact.message)]
    if fact.outcome is Outcome.GATED:
        remedy = f"Accept its terms on the page of {wanted.model} as the user of the jobs' token, then submit again."
        return [
            Finding(name, Verdict.FAILED, f"{wanted.model} is gated: {fact.message}", Reason.GATED_MODEL, field, remedy)
        ]
    if fact.outcome is Outcome.MISSING:
        at = "" if wanted.model_revision == "main" else f" at revision '{wanted.model_revision}'"
        message = f"there is no model {wanted.model}{at} that the jobs' token can see"
        remedy = "Check the name and the revision; a private model needs a jobs' token that may read it."
        return [Finding(name, Verdict.FAILED, message, Reason.MODEL_NOT_FOUND, field, remedy)]
    if fact.config is None:
        message = f"{wanted.model} has no config.json: transformers cannot load it"
        remedy = "Name a repository in the transformers format (not GGUF, not an adapter alone)."
        return [Finding(name, Verdict.FAILED, message, Reason.MODEL_NOT_FOUND, field, remedy)]
    return [Finding(name, Verdict.PASSED, f"{wanted.model} at {fact.sha[:12]}")]


def check_dataset(wanted: WantedData, fact: DatasetFact) -> list[Finding]:
    """Is the dataset there, with its configuration, its splits, and columns that TRL can train on."""
    field = "recipe.dataset_name"
    if fact.outcome in (Outcome.UNKNOWN, Outcome.DENIED):
        return [_unknown("dataset", fact.message)]
    if fact.outcome is Outcome.GATED:
        remedy = f"Accept its terms on the page of {wanted.repo} as the user of the jobs' token, then submit again."
        message = f"the dataset {wanted.repo} is gated: {fact.message}"
        return [Finding("dataset", Verdict.FAILED, message, Reason.DATASET_NOT_FOUND, field, remedy)]
    if fact.outcome is Outcome.MISSING:
        message = f"there is no dataset {wanted.repo} that the jobs' token can see"
        remedy = "Check the name and the revision; a private dataset needs a jobs' token that may read it."
        return [Finding("dataset", Verdict.FAILED, message, Reason.DATASET_NOT_FOUND, field, remedy)]
    found = Finding("dataset", Verdict.PASSED, f"{wanted.repo} at {fact.sha[:12]}, as told by {fact.source}")
    if not fact.configs:
        return [found, _unknown("dataset_splits", "its configurations and splits could not be worked out")]
    config = wanted.config or fact.default_config
    if config is None or config not in fact.configs:
        return [found, _no_config(wanted, fact)]
    splits = [_check_split(field, name, fact, config) for field, name in wanted.splits.items()]
    return [found, *splits, _check_columns(wanted, fact, config)]


def check_template(wanted: Wanted, model: ModelFact, dataset: DatasetFact) -> Finding:
    """Chats need a template that turns them into text."""
    columns = columns_of(wanted.data, dataset) if wanted.data is not None else None
    if columns is None or wanted.template_from is not None or not model.is_found:
        outcome = Verdict.PASSED if wanted.template_from is not None else Verdict.UNKNOWN
        told = f"taken from {wanted.template_from}" if wanted.template_from else "the columns are not known"
        return Finding("chat_template", outcome, told)
    if not CHAT_COLUMNS & set(columns):
        return Finding("chat_template", Verdict.PASSED, "the data is no chat: none is needed")
    if model.has_chat_template is None:
        return _unknown("chat_template", "the model's tokenizer could not be read")
    if model.has_chat_template:
        return Finding("chat_template", Verdict.PASSED, "the model's tokenizer has one")
    return Finding(
        "chat_template",
        Verdict.FAILED,
        f"{wanted.model} has no chat template, and the data is chats: TRL would refuse to start",
        Reason.DATASET_FORMAT,
        "recipe.chat_template_path",
        "Give the path or id of one, such as the instruct model of the same family.",
    )


def check_memory(flavor: str, foresight: Foresight, is_forced: bool) -> Finding:
    """Does the training fit the flavor's memory and disk, by the estimate."""
    found = foresight.on(flavor)
    if found is None:
        return _unknown("memory", f"nothing is known of {flavor}")
    if (refusal := foresight.refusal(flavor)) is None:
        verdict = Verdict.PASSED if found.is_usable else Verdict.UNKNOWN
        return Finding("memory", verdict, found.message)
    message, remedy = refusal
    if is_forced:
        return Finding("memory", Verdict.PASSED, f"{message}; submitted all the same, by `force`")
    return Finding("memory", Verdict.FAILED, message, Reason.DOES_NOT_FIT, "flavor", remedy)


def check_time(found: FlavorEstimate | None, timeout_seconds: int | None, is_forced: bool) -> Finding:
    """Is the timeout longer than half of such trainings take."""
    if found is None or found.minutes is None or timeout_seconds is None:
        return Finding("timeout", Verdict.PASSED, "how long it takes is not known")
    p50, p90 = found.minutes.p50, found.minutes.p90
    about = f"about {p50:.0f} min, within {p90:.0f} min nine times of ten"
    if timeout_seconds >= p50 * 60 or is_forced:
        return Finding("timeout", Verdict.PASSED, about)
    message = f"the timeout is {timeout_seconds // 60} min, and the training takes {about}"
    wanted = found.timeout_seconds or 0
    longer = f"Set timeout to {wanted // 60}m, or shorten" if wanted <= MAX_SECONDS else "Shorten"
    remedy = f'{longer} the training, by max_steps or num_train_epochs. "force": true submits it.'
    return Finding("timeout", Verdict.FAILED, message, Reason.PREFLIGHT_FAILED, "timeout", remedy)


def no_flavor(reason: str) -> Finding:
    """`auto` found nothing."""
    return Finding(
        "flavor", Verdict.FAILED, reason, Reason.DOES_NOT_FIT, "flavor", "Name a flavor, or change the recipe."
    )


def columns_of(wanted: WantedData, fact: DatasetFact) -> list[str] | None:
    """The columns of the configuration that is asked for; None where they are not known."""
    return fact.columns.get(wanted.config or fact.default_config or "")


def _no_config(wanted: WantedData, fact: DatasetFact) -> Finding:
    known = ", ".join(sorted(fact.configs)[:20])
    if wanted.config is None:
        message = f"{wanted.repo} has several configurations and none is named: {known}"
    else:
        message = f"{wanted.repo} has no configuration '{wanted.config}': there are {known}"
    close = _close(wanted.config or "", sorted(fact.configs))
    remedy = close or "Name one of them."
    return Finding("dataset_config", Verdict.FAILED, message, Reason.DATASET_FORMAT, "recipe.dataset_config", remedy)


def _check_split(field: str, split: str, fact: DatasetFact, config: str) -> Finding:
    # `train[:1000]` and `train+test` are the library's own way to write parts
    names = [part.partition("[")[0].strip() for part in split.split("+")]
    known = sorted(fact.configs[config])
    if not known:
        return _unknown("dataset_splits", "its splits could not be worked out")
    if missing := [name for name in names if name not in known and name != "all"]:
        message = f"the dataset has no split '{missing[0]}': there are {', '.join(known)}"
        return Finding(
            "dataset_splits",
            Verdict.FAILED,
            message,
            Reason.DATASET_FORMAT,
            FIELDS[field],
            _close(missing[0], known) or f"Set {field} to one of them.",
        )
    rows = fact.configs[config][names[0]].rows if names[0] in fact.configs[config] else None
    return Finding("dataset_splits", Verdict.PASSED, f"'{split}'" + ("" if rows is None else f" has {rows} rows"))


def _check_columns(wanted: WantedData, fact: DatasetFact, config: str) -> Finding:
    columns = fact.columns.get(config)
    if columns is None:
        return _unknown("dataset_columns", "its columns could not be worked out")
    names = set(columns)
    if "input_ids" in names or CHAT_COLUMNS & names or names >= PAIR_COLUMNS or wanted.text_field in names:
        return Finding("dataset_columns", Verdict.PASSED, ", ".join(columns[:20]))
    close = _close(wanted.text_field, columns)
    return Finding(
        "dataset_columns",
        Verdict.FAILED,
        f"TRL needs a column 'messages', or '{wanted.text_field}', or 'prompt' and 'completion'; "
        f"the dataset has {', '.join(columns[:20])}",
        Reason.DATASET_FORMAT,
        "recipe.args.dataset_text_field",
        close or "Name the column of text, or a dataset whose columns are as TRL wants them.",
    )


def _close(name: str, known: Sequence[str]) -> str | None:
    close = get_close_matches(name, known, n=1)
    return f"Did you mean '{close[0]}'?" if close else None


def _unknown(check: str, message: str) -> Finding:
    return Finding(check, Verdict.UNKNOWN, message or "the Hub did not say")
