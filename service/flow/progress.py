"""What is read from a log becomes the run's: its latest numbers, and a point of its series."""

from __future__ import annotations

from sqlmodel import Session

from service.domain.progress import Hints, Reader
from service.store import metrics, topics
from service.store.tables import Attempt, Run

# TRL 0.29 and 1.16: SFTConfig overrides transformers' 500
DEFAULT_LOGGING_STEPS = 10


def hints_of(run: Run) -> Hints:
    """What the recipe says of its steps before the log does."""
    recipe = run.recipe
    if recipe.get("kind") != "trl_sft":
        return Hints()
    steps, every = recipe["args"].get("max_steps"), recipe["args"].get("logging_steps", DEFAULT_LOGGING_STEPS)
    is_total = isinstance(steps, int) and steps > 0
    is_every = isinstance(every, int | float) and every >= 1  # below 1 it is a share of all steps
    return Hints(steps if is_total else None, int(every) if is_every else None)


def note(session: Session, run: Run, attempt: Attempt, reader: Reader) -> None:
    """Take over what a reader found in the lines that were just stored."""
    attempt.reading = reader.as_json()
    metrics.add(session, attempt, reader.points)
    session.add(attempt)
    is_told = reader.progress.is_known or (run.recipe.get("kind") == "trl_sft" and reader.progress.phase is not None)
    if is_told and run.progress != reader.progress.as_json():
        run.progress = reader.progress.as_json()
        session.add(run)
        topics.tell(session, run.id)
