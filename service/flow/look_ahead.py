"""look ahead: what the database knows already decides at once what preflight would find out a moment later."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session

from service.domain.errors import DoesNotFit, Invalid
from service.domain.estimate.card import read_flavor
from service.domain.estimate.verdict import without_card
from service.domain.finding import Verdict
from service.domain.preflight import check_time
from service.domain.recipe import read
from service.domain.settle import Settled
from service.domain.trl.hardware import hardware_refusal
from service.domain.trl_sft import TrlSft
from service.flow.foresee import settle_run
from service.store import flavors
from service.store.tables import Run


def look_ahead(session: Session, run: Run, now: datetime) -> Settled | None:
    """What is known of the model already decides at once: `auto` gets its flavor, and what does not fit is refused.
    Raises DoesNotFit, or Invalid for a flag that the flavor's hardware cannot follow. Otherwise preflight does both."""
    settled = settle_run(session, run, now)
    refuse_hardware(session, run, is_card_checked=settled is None)
    if settled is None:
        return None
    if settled.choice is not None and settled.choice.flavor is None:
        raise DoesNotFit(settled.choice.reason, field="flavor", remedy="Name a flavor, or change what it needs.")
    refusal = settled.foresight.refusal(settled.flavor)
    if refusal is not None and not run.force:
        message, remedy = refusal
        raise DoesNotFit(message, field="flavor", remedy=remedy, estimate=settled.stored())
    take_over(run, settled)
    return settled


def refuse_hardware(session: Session, run: Run, is_card_checked: bool = True, field: str | None = None) -> None:
    """Raise where the flavor has not what the flags ask for beside memory: that is known without the model. `field` is
    where the flavor was named, if it is to be changed rather than a flag."""
    recipe, hardware = read(run.recipe), flavors.hardware(session, run.flavor)
    if not isinstance(recipe, TrlSft) or hardware is None:
        return
    flags, flavor = recipe.flags(), read_flavor(hardware, None)
    if (found := hardware_refusal(flags, flavor)) is not None:
        rule, message = found
        raise Invalid(message, field=field or recipe.field_of(rule.flag), remedy=rule.remedy)
    if is_card_checked and flavor.card is None and flags.get("use_cpu") is not True and not run.force:
        raise DoesNotFit(
            without_card(flavor),
            field=field or "flavor",
            remedy="Take a flavor with a GPU (GET /flavors lists them) or 'auto', or set use_cpu true in recipe.args.",
        )


def take_over(run: Run, settled: Settled) -> None:
    """What was decided for the run becomes its own. Why its flavor was chosen is kept as long as it has that flavor."""
    chosen = (run.estimate or {}).get("choice") if settled.flavor == run.flavor else None
    run.recipe = settled.recipe.model_dump(mode="json")
    run.flavor, run.estimate = settled.flavor, settled.stored()
    if run.estimate is not None and chosen is not None:
        run.estimate["choice"] = chosen


def refuse_short(run: Run, settled: Settled) -> None:
    """Raise Invalid where the timeout is shorter than half of such trainings take."""
    if run.force or run.pilot is not None or run.kind == "pilot":
        return  # a pilot measures what is only guessed here
    found = check_time(settled.foresight.on(run.flavor), run.requested_timeout_seconds, is_forced=False)
    if found.verdict is Verdict.FAILED:
        raise Invalid(found.message, field=found.field, remedy=found.remedy)
