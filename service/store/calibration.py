"""What a team's finished runs teach about time: estimates beside what the training took."""

from __future__ import annotations

from collections import defaultdict

from sqlmodel import Session, col, select

from service.domain.estimate.calibration import Calibration, Observation, calibrate
from service.domain.run import RunState
from service.store.tables import Run

# The latest of them: software and hardware change.
MOST_RUNS = 200


def calibrations(session: Session, team: str, family: str | None) -> dict[str, Calibration]:
    """By flavor, from the team's own runs of a model family."""
    if family is None:
        return {}
    seen: dict[str, list[Observation]] = defaultdict(list)
    query = (
        select(Run.flavor, Run.estimate, Run.progress)
        .where(Run.team == team, Run.state == RunState.SUCCEEDED.value, col(Run.kind).is_(None))
        .where(col(Run.estimate)["family"].as_string() == family)
        .order_by(col(Run.id).desc())
        .limit(MOST_RUNS)
    )
    for flavor, estimate, progress in session.exec(query):
        told, took = estimate or {}, (progress or {}).get("train_seconds")
        if took and told.get("training_minutes") and told.get("training_p90_minutes"):
            one = Observation(told["training_minutes"], told["training_p90_minutes"], took / 60)
            seen[flavor].append(one)
    return {flavor: calibrate(found) for flavor, found in seen.items()}
