"""foresee: what a recipe will need and cost on every flavor, from facts that are known or asked for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlmodel import Session

from service.domain.estimate.card import read_flavor
from service.domain.facts import DatasetFact, ModelFact
from service.domain.foresight import Foresight, family_of, foresee
from service.domain.recipe import read
from service.domain.subject import Fact, Kind, Subject
from service.domain.trl_sft import TrlSft
from service.domain.wanted import Wanted, wanted_of
from service.store import calibration, facts, flavors
from service.store.tables import Run


def inputs_of(wanted: Wanted) -> list[Subject]:
    """The model and the dataset that a recipe names."""
    subjects = []
    if wanted.model is not None:
        subjects.append(Subject(Kind.MODEL, wanted.model, wanted.model_revision))
    if wanted.data is not None:
        subjects.append(Subject(Kind.DATASET, wanted.data.repo, wanted.data.revision))
    return subjects


def inputs_in(known: Mapping[Subject, Fact]) -> tuple[ModelFact | None, DatasetFact | None]:
    """The model and the dataset among facts; None where they were not asked for."""
    by_kind = {subject.kind: fact for subject, fact in known.items()}
    model, dataset = by_kind.get(Kind.MODEL), by_kind.get(Kind.DATASET)
    return model if isinstance(model, ModelFact) else None, dataset if isinstance(dataset, DatasetFact) else None


def foresee_with(
    session: Session,
    recipe: TrlSft,
    known: Mapping[Subject, Fact],
    team: str,
    now: datetime,
    timeout_seconds: int | None = None,
) -> Foresight:
    """An estimate from these facts, calibrated by the team's own runs."""
    model, dataset = inputs_in(known)
    listed = flavors.every(session)
    prices = flavors.fresh(listed, now)
    return foresee(
        recipe,
        model,
        dataset,
        wanted_of(recipe).data,
        [read_flavor(one.hardware, prices.get(one.name)) for one in listed],
        timeout_seconds=timeout_seconds,
        calibrations=calibration.calibrations(session, team, family_of(model)),
    )


def foresee_stored(session: Session, run: Run, now: datetime) -> Foresight | None:
    """An estimate from what the database knows already, without asking anybody; None for a script, or where the model
    was not found."""
    recipe = read(run.recipe)
    if not isinstance(recipe, TrlSft):
        return None
    known = facts.known(session, inputs_of(wanted_of(recipe)), None)
    model, _ = inputs_in(known)
    if model is None or not model.is_found:
        return None
    return foresee_with(session, recipe, known, run.team, now, run.timeout_seconds)
