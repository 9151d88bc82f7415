"""foresee: what a recipe will need and cost on every flavor, and what is decided by it, from facts that are known."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlmodel import Session

from service.domain.estimate.card import read_flavor
from service.domain.foresight import Foresight, family_of, foresee
from service.domain.preflight import inputs_in
from service.domain.recipe import read
from service.domain.settle import Expect, Settled, settle
from service.domain.subject import Fact, Subject
from service.domain.trl.preset import family_in
from service.domain.trl_sft import TrlSft
from service.domain.wanted import wanted_of
from service.store import calibration, facts, flavors
from service.store.tables import Run


def expectation(
    session: Session, known: Mapping[Subject, Fact], team: str, now: datetime, timeout_seconds: int | None = None
) -> Expect:
    """What makes estimates of recipes from these facts, calibrated by the team's own runs."""
    model, dataset = inputs_in(known)
    listed = flavors.every(session)
    prices = flavors.fresh(listed, now)
    cards = [read_flavor(one.hardware, prices.get(one.name)) for one in listed]
    calibrations = calibration.calibrations(session, team, family_of(model))

    def expect(recipe: TrlSft) -> Foresight:
        data = wanted_of(recipe).data
        return foresee(recipe, model, dataset, data, cards, timeout_seconds=timeout_seconds, calibrations=calibrations)

    return expect


def settle_run(session: Session, run: Run, now: datetime) -> Settled | None:
    """What is decided for a run from what the database knows already, without asking anybody; None for a script, or
    where the model was not found."""
    recipe = read(run.recipe)
    if not isinstance(recipe, TrlSft):
        return None
    known = facts.known(session, wanted_of(recipe).subjects(), None)
    model, _ = inputs_in(known)
    if model is None or not model.is_found:
        return None
    expect = expectation(session, known, run.team, now, run.timeout_seconds)
    return settle(recipe, run.flavor, expect, family_in(model.config), run.optimize, run.max_cost_micro_usd)
