"""A job's checkpoints, newest first: the model once it is published, and the newest that its bucket holds, or that an
attempt went on from."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from sqlmodel import Session, col, select

from service.domain.run import RunState
from service.doors.openai.file_object import seconds
from service.doors.openai.ids import CHECKPOINT, RUN, job_id
from service.store import fine_tuning
from service.store.tables import Attempt, Run

# OpenAI's names of an evaluation's numbers are of a part of the rows and of all: here it is always all.
OF_TRAINING = {"loss": "train_loss", "mean_token_accuracy": "train_mean_token_accuracy"}
OF_EVALUATION = {
    "eval_loss": ("valid_loss", "full_valid_loss"),
    "eval_mean_token_accuracy": ("valid_mean_token_accuracy", "full_valid_mean_token_accuracy"),
}


def checkpoints(session: Session, run: Run) -> list[dict[str, Any]]:
    """All of them: a handful at most, as a bucket keeps the newest."""
    query = select(Attempt).where(Attempt.run_id == run.id).order_by(col(Attempt.attempt))
    attempts = list(session.exec(query))
    found: dict[int, tuple[str, int, int | None]] = {}
    for before, attempt in pairwise(attempts):
        if attempt.from_step is not None and run.bucket is not None:
            found[attempt.from_step] = _in_bucket(run, attempt.from_step), before.attempt, seconds(before.finished_at)
    newest = (run.saved or {}).get("newest")
    if newest is not None and run.bucket is not None and attempts:
        at = seconds(attempts[-1].finished_at or attempts[-1].started_at)
        found[newest["step"]] = _in_bucket(run, newest["step"]), run.attempt, at
    output, last = run.output or {}, (run.progress or {}).get("step")
    if run.state == RunState.SUCCEEDED and output.get("revision") and last is not None:
        found[last] = (
            f"{output.get('repo') or run.output_repo}@{output['revision']}",
            run.attempt,
            seconds(run.finished_at),
        )
    return [_shown(session, run, step, *found[step]) for step in sorted(found, reverse=True)]


def _in_bucket(run: Run, step: int) -> str:
    return f"hf://buckets/{run.bucket}/checkpoint-{step}"


def _shown(session: Session, run: Run, step: int, where: str, attempt: int, at: int | None) -> dict[str, Any]:
    trained = fine_tuning.numbers_until(session, run.id, attempt, step, "train")
    evaluated = fine_tuning.numbers_until(session, run.id, attempt, step, "eval")
    return {
        "id": f"{CHECKPOINT}{run.id.removeprefix(RUN)}-{step}",
        "object": "fine_tuning.job.checkpoint",
        "created_at": at or seconds(run.created_at),
        "fine_tuned_model_checkpoint": where,
        "fine_tuning_job_id": job_id(run.id),
        "step_number": step,
        "metrics": {"step": step, **_named(trained, evaluated)},
    }


def _named(trained: Mapping[str, Any], evaluated: Mapping[str, Any]) -> dict[str, float]:
    numbers = {ours: trained[name] for name, ours in OF_TRAINING.items() if name in trained}
    for name, places in OF_EVALUATION.items():
        if name in evaluated:
            numbers |= dict.fromkeys(places, evaluated[name])
    return numbers
