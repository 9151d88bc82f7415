"""Preflight: whether what a run names is there and fits together, told from facts, before any money is held.

Each check passes, fails with the field, the rule and the remedy, or is unknown, where the Hub did not tell: unknown is
never taken for failed. The checks of what a recipe takes in have files of their own (`check_model`, `check_lora` …).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from service.domain.check_architecture import check_architecture
from service.domain.check_dataset import check_dataset, check_pictures, columns_of
from service.domain.check_lora import check_lora
from service.domain.check_model import check_model
from service.domain.check_template import check_template
from service.domain.check_volumes import check_volumes
from service.domain.duration import MAX_SECONDS
from service.domain.estimate.family import FAMILIES
from service.domain.facts import AccountFact, DatasetFact, JobsFact, ModelFact, Outcome
from service.domain.finding import Finding, Verdict, unknown
from service.domain.foresight import Foresight
from service.domain.money import ceiling, dollars
from service.domain.run import Reason
from service.domain.subject import Fact, Kind, Subject
from service.domain.wanted import Wanted


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
        return unknown("namespace", fact.message)
    return Finding("namespace", Verdict.PASSED, f"jobs can be started in {namespace}")


def check_output(repo: str, account: AccountFact) -> Finding:
    """May the job's token commit where the model is to go."""
    if not account.is_found:
        return unknown("output_repo", account.message)
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
        return unknown("trackio_space", account.message)
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


def check_inputs(wanted: Wanted, facts: Mapping[Subject, Fact]) -> list[Finding]:
    """What a recipe takes in, in the order in which a person would look; nothing is said of what was not asked for."""
    model, dataset = inputs_in(facts)
    findings: list[Finding] = []
    if model is not None:
        findings.append(check_model(wanted, model))
        if model.config is not None and findings[-1].verdict is Verdict.PASSED:
            findings += [*check_architecture(wanted, model.config), *check_lora(wanted, model.config)]
    if dataset is not None and wanted.data is not None:
        findings += check_dataset(wanted, dataset)
        if model is not None:
            findings.append(check_template(wanted, model, dataset, facts))
            model_type = str((model.config or {}).get("model_type"))
            pictures = check_pictures(columns_of(wanted.data, dataset), model_type, FAMILIES)
            findings += [pictures] if pictures is not None else []
    return findings + check_volumes(wanted, facts)


def inputs_in(known: Mapping[Subject, Fact]) -> tuple[ModelFact | None, DatasetFact | None]:
    """The model and the dataset among facts; None where they were not asked for."""
    by_kind = {subject.kind: fact for subject, fact in known.items()}
    model, dataset = by_kind.get(Kind.MODEL), by_kind.get(Kind.DATASET)
    return model if isinstance(model, ModelFact) else None, dataset if isinstance(dataset, DatasetFact) else None


def check_memory(flavor: str, foresight: Foresight, is_forced: bool) -> Finding:
    """Does the training fit the flavor's memory and disk, by the estimate."""
    found = foresight.on(flavor)
    if found is None:
        return unknown("memory", f"nothing is known of {flavor}")
    if (refusal := foresight.refusal(flavor)) is None:
        verdict = Verdict.PASSED if found.is_usable else Verdict.UNKNOWN
        return Finding("memory", verdict, found.message)
    message, remedy = refusal
    if is_forced:
        return Finding("memory", Verdict.PASSED, f"{message}; submitted all the same, by `force`")
    return Finding("memory", Verdict.FAILED, message, Reason.DOES_NOT_FIT, "flavor", remedy)


def check_time(
    estimate: Mapping[str, Any] | None,
    timeout_seconds: int | None,
    is_forced: bool,
    *,
    is_pilot: bool = False,
    cap_price_micro_usd: int | None = None,
) -> Finding:
    """Is the timeout longer than half of such trainings take, by the estimate as it is stored on the run. With a price
    per minute, the timeout is what max_cost_usd pays for.

    A run with a pilot is held to this as any other, and a pilot to its own ten minutes: no pilot is paid for where the
    run could not start after it as things stand. What is left to the pilot is what no estimate reaches (`minutes` null
    passes), and how far off the estimate is: once it has measured, its numbers are the estimate that is judged here."""
    minutes = (estimate or {}).get("minutes")
    if estimate is None or minutes is None or timeout_seconds is None:
        return Finding("timeout", Verdict.PASSED, "how long it takes is not known")
    p50, p90 = minutes["p50"], minutes["p90"]
    about = f"about {p50:.0f} min, within {p90:.0f} min nine times of ten"
    if p50 * 60 > MAX_SECONDS:
        about = f"more than {MAX_SECONDS // 86400} days"
    if timeout_seconds >= p50 * 60 or is_forced:
        return Finding("timeout", Verdict.PASSED, about)
    given = "the timeout is" if cap_price_micro_usd is None else "max_cost_usd pays for"
    message = f"{given} {timeout_seconds // 60} min, and the training takes {about}"
    if is_pilot:
        remedy = "Set pilot.max_steps to fewer steps, or leave the pilot out: it has ten minutes at the most."
        return Finding("timeout", Verdict.FAILED, message, Reason.PREFLIGHT_FAILED, "pilot.max_steps", remedy)
    wanted = estimate.get("timeout_seconds") or 0
    longer = f"Set timeout to {wanted // 60}m, or shorten"
    if cap_price_micro_usd is not None:
        longer = f"Set max_cost_usd to {dollars(ceiling(cap_price_micro_usd, wanted))[1:]}, or shorten"
    if wanted > MAX_SECONDS:
        longer = "Shorten"
    remedy = f'{longer} the training, by max_steps or num_train_epochs. "force": true submits it.'
    field = "timeout" if cap_price_micro_usd is None else "max_cost_usd"
    return Finding("timeout", Verdict.FAILED, message, Reason.PREFLIGHT_FAILED, field, remedy)


def no_flavor(reason: str, enough: str = "") -> Finding:
    """`auto` found nothing; `enough` is what would do."""
    remedy = f"Give {enough}, or name a flavor." if enough else "Name a flavor, or change the recipe."
    return Finding("flavor", Verdict.FAILED, reason, Reason.DOES_NOT_FIT, "flavor", remedy)
