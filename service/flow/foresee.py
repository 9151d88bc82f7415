"""foresee: what a recipe will need and cost on every flavor, and what is decided by it, from facts that are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from service.domain.estimate.bounds import Bounds, PilotBound
from service.domain.estimate.calibration import Calibration
from service.domain.estimate.card import Flavor as FlavorCard
from service.domain.estimate.card import read_flavor
from service.domain.estimate.choice import Goal
from service.domain.facts import DatasetFact, ModelFact
from service.domain.flavor_name import AUTO
from service.domain.foresight import Foresight, family_of, foresee
from service.domain.pilot import TIMEOUT_SECONDS
from service.domain.preflight import inputs_in
from service.domain.script import Script
from service.domain.settle import Settled, settle
from service.domain.subject import Fact, Subject
from service.domain.trl.preset import family_in
from service.domain.trl_sft import TrlSft
from service.domain.wanted import wanted_of
from service.flow.cap import own_cap
from service.store import calibration, facts, flavors, ledger, runs
from service.store.run_money import money_of
from service.store.tables import Run


@dataclass(frozen=True)
class Expectation:
    """Makes estimates of recipes from facts. `cards` are the flavors that Hugging Face lists."""

    model: ModelFact | None
    dataset: DatasetFact | None
    cards: Sequence[FlavorCard]
    calibrations: Mapping[str, Calibration]
    timeout_seconds: int | None

    @property
    def gpus(self) -> Mapping[str, int]:
        """How many GPUs each flavor has, by name."""
        return {card.name: max(1, card.gpus) for card in self.cards}

    def __call__(self, recipe: TrlSft) -> Foresight:
        """The estimate of a recipe."""
        return foresee(
            recipe,
            self.model,
            self.dataset,
            wanted_of(recipe).data,
            self.cards,
            timeout_seconds=self.timeout_seconds,
            calibrations=self.calibrations,
        )


def expectation(
    session: Session, known: Mapping[Subject, Fact], team: str, now: datetime, timeout_seconds: int | None = None
) -> Expectation:
    """What makes estimates of recipes from these facts, calibrated by the team's own runs."""
    model, dataset = inputs_in(known)
    listed = flavors.every(session)
    prices = flavors.fresh(listed, now)
    cards = [read_flavor(one.hardware, prices.get(one.name)) for one in listed]
    calibrations = calibration.calibrations(session, team, family_of(model))
    return Expectation(model, dataset, cards, calibrations, timeout_seconds)


def settle_run(session: Session, run: Run, recipe: TrlSft | Script, now: datetime) -> Settled | None:
    """What is decided for a run with this recipe from what the database knows already, without asking anybody; None for
    a script, or where the model was not found. A pilot that was left to choose takes the flavor that its run took."""
    if not isinstance(recipe, TrlSft):
        return None
    known = facts.known(session, run.credentials, wanted_of(recipe).subjects(), None)
    model, _ = inputs_in(known)
    if model is None or not model.is_found:
        return None
    expect = expectation(session, known, run.team, now, run.timeout_seconds)
    above = runs.get(session, run.parent) if run.kind == "pilot" and run.parent and run.flavor == AUTO else None
    flavor = run.flavor if above is None else above.flavor
    goal: Goal = "fastest" if run.optimize == "fastest" else "cheapest"
    return settle(recipe, flavor, expect, family_in(model.config), goal, _bounds(session, run))


def _bounds(session: Session, run: Run) -> Bounds:
    """What a flavor for the run has to keep. A pilot's own time is its cap of ten minutes, whatever it gets done."""
    return Bounds(
        run.requested_timeout_seconds,
        own_cap(run),
        _pilot_bound(session, run),
        may_be_short=run.force or run.kind == "pilot",
    )


def pilot_bound(flavor: str | None, spent: int | None = None) -> PilotBound:
    """What a pilot on a flavor takes of its run's cap; one on `auto` counts as one on the run's own flavor."""
    return PilotBound(TIMEOUT_SECONDS, None if flavor == AUTO else flavor, spent)


def _pilot_bound(session: Session, run: Run) -> PilotBound | None:
    if run.pilot is None:
        return None
    child = runs.get(session, run.pilot.get("run_id") or "")
    if child is None:  # it is only asked for yet
        return pilot_bound(run.pilot.get("flavor"))
    spent = (money_of(ledger.of_run(session, child.id)).charged or 0) if child.finished_at is not None else None
    return pilot_bound(child.flavor, spent)
