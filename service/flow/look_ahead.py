"""look ahead: what the database knows already decides at once what preflight would find out a moment later."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session

from service.domain.duration import MAX_SECONDS
from service.domain.errors import DoesNotFit, Invalid, PreflightFailed
from service.domain.estimate.card import read_flavor
from service.domain.estimate.verdict import without_card
from service.domain.finding import Finding, Verdict
from service.domain.pilot import TIMEOUT_SECONDS
from service.domain.preflight import check_time
from service.domain.remedy import otherwise
from service.domain.script import Script
from service.domain.settle import Settled
from service.domain.trl.hardware import hardware_refusal
from service.domain.trl_sft import TrlSft
from service.flow.foresee import settle_run
from service.flow.pilot import keep_measured
from service.store import flavors
from service.store.tables import Run

NAME_ONE = "Name a flavor"
WITH_GPU = "Take a flavor with a GPU (GET /flavors lists them) or 'auto'"


def look_ahead(
    session: Session,
    run: Run,
    recipe: TrlSft | Script,
    now: datetime,
    is_queued: bool = False,
    field: str = "flavor",
) -> Settled | None:
    """What is known of the model already decides at once: `auto` gets its flavor, and what does not fit is refused.
    Raises DoesNotFit, or Invalid for a flag that the flavor's hardware cannot follow. Otherwise preflight does both.
    `is_queued`: the run is one that is being changed, and remedies name what can be changed of it. `field` is where
    the flavor was named."""
    settled = settle_run(session, run, recipe, now)
    refuse_hardware(session, run, recipe, is_card_checked=settled is None, is_queued=is_queued)
    if settled is None:
        return None
    if settled.choice is not None and settled.choice.flavor is None:
        enough = settled.choice.enough
        anew = f"give {enough}" if enough else "change what it needs"
        remedy = otherwise(NAME_ONE, anew) if is_queued else f"{anew[0].upper()}{anew[1:]}, or {NAME_ONE.lower()}."
        raise DoesNotFit(settled.choice.reason, field=field, remedy=remedy)
    refusal = settled.foresight.refusal(settled.flavor, is_queued)
    if refusal is not None and not run.force:
        message, remedy = refusal
        raise DoesNotFit(message, field=field, remedy=remedy, estimate=settled.stored())
    take_over(run, settled)
    return settled


def refuse_hardware(
    session: Session,
    run: Run,
    recipe: TrlSft | Script,
    is_card_checked: bool = True,
    field: str | None = None,
    is_queued: bool = False,
) -> None:
    """Raise where the flavor has not what the flags ask for beside memory: that is known without the model. `field` is
    where the flavor was named, if it is to be changed rather than a flag."""
    field = "flavor" if is_queued else field
    hardware = flavors.hardware(session, run.flavor)
    if not isinstance(recipe, TrlSft) or hardware is None:
        return
    flags, flavor = recipe.flags(), read_flavor(hardware, None)
    if (found := hardware_refusal(flags, flavor)) is not None:
        rule, message = found
        remedy = otherwise("Name another flavor", rule.remedy.rstrip(".")) if is_queued else rule.remedy
        raise Invalid(message, field=field or recipe.field_of(rule.flag), remedy=remedy)
    if is_card_checked and flavor.card is None and flags.get("use_cpu") is not True and not run.force:
        cpu = "set use_cpu true in recipe.args"
        remedy = otherwise(WITH_GPU, cpu) if is_queued else f"{WITH_GPU}, or {cpu}."
        raise DoesNotFit(without_card(flavor), field=field or "flavor", remedy=remedy)


def take_over(run: Run, settled: Settled) -> None:
    """What was decided for the run becomes its own. Why its flavor was chosen is kept as long as it has that flavor."""
    chosen = (run.estimate or {}).get("choice") if settled.flavor == run.flavor else None
    before, run.recipe = run.estimate, settled.recipe.model_dump(mode="json")
    run.flavor, run.estimate = settled.flavor, settled.stored()
    if run.estimate is not None and chosen is not None:
        run.estimate["choice"] = chosen
    keep_measured(run, before)


def refuse_short(run: Run, is_queued: bool = False) -> None:
    """Raise PreflightFailed where the time that the run has, by its timeout or its cap, is shorter than half of such
    trainings take."""
    found = judge_time(run)
    if found.verdict is not Verdict.FAILED:
        return
    remedy = _change_of_time(run) if is_queued else found.remedy
    raise PreflightFailed(found.message, field=found.field, remedy=remedy, estimate=run.estimate)


def judge_time(run: Run) -> Finding:
    """`check_time` of a run as it stands."""
    return check_time(
        run.estimate,
        run.timeout_seconds,
        run.force,
        is_pilot=run.kind == "pilot",
        cap_price_micro_usd=run.quoted_price_micro_usd if run.requested_timeout_seconds is None else None,
    )


def _change_of_time(run: Run) -> str:
    """What PATCH can do for a run that is too short."""
    wanted = (run.estimate or {}).get("timeout_seconds") or 0
    most = TIMEOUT_SECONDS if run.kind == "pilot" else MAX_SECONDS
    is_by_timeout = run.requested_timeout_seconds is not None and wanted <= most
    can = f"Set timeout to {wanted // 60}m" if is_by_timeout else "Name a faster flavor"
    return otherwise(can, 'with fewer steps (max_steps, num_train_epochs), or "force": true')
