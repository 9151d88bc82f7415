"""The job object: OpenAI's fields from what the run records, and `tunegate` with what runs know beyond them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from service.domain import gpus
from service.domain.run import Reason, RunState
from service.domain.trl.batch import effective_batch
from service.domain.trl.flags import release
from service.doors.openai.file_object import seconds
from service.doors.openai.ids import job_id, results_id
from service.store.tables import FineTuningJob, Run

# Of TRL, where nobody says another one: a job tells which it had.
USUAL_SEED = 42
OF_THE_DATA = frozenset({Reason.DATASET_NOT_FOUND, Reason.DATASET_FORMAT})
OF_THE_MODEL = frozenset({Reason.MODEL_NOT_FOUND, Reason.GATED_MODEL})
SHOWN = ("state", "reason", "message", "is_terminal", "cost", "flavor", "output", "failure", "progress", "hub_job")


def status_of(run: Run) -> str:
    """OpenAI's status. A job that is being paused or stopped says what it is until that has happened."""
    if run.state in (RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED, RunState.RUNNING):
        return run.state
    if run.state == RunState.QUEUED and run.paused_at is not None:
        return "paused"
    is_unchecked = run.state == RunState.QUEUED and run.checked_at is None and run.attempt == 0
    return "validating_files" if is_unchecked else "queued"


def job_object(
    job: FineTuningJob, run: Run, described: Mapping[str, Any], hardware: Mapping[str, Any] | None, now: datetime
) -> dict[str, Any]:
    """One job. `described` is its run object, `hardware` the flavor's entry of the price list."""
    asked, output = job.asked, described["output"] or {}
    training = hyperparameters(asked, run.recipe, gpus.count(hardware))
    method = {"type": "supervised", "supervised": {"hyperparameters": training}}
    return {
        "id": job_id(run.id),
        "object": "fine_tuning.job",
        "created_at": seconds(run.created_at),
        "finished_at": seconds(run.finished_at),
        "estimated_finish": _estimated_finish(run, now),
        "model": asked["model"],
        "fine_tuned_model": output.get("repo") if run.state == RunState.SUCCEEDED else None,
        "organization_id": run.team,
        "status": status_of(run),
        "training_file": job.training_file,
        "validation_file": job.validation_file,
        "result_files": [results_id(run.id)] if run.state == RunState.SUCCEEDED else [],
        "hyperparameters": training,
        "method": method,
        "trained_tokens": (run.progress or {}).get("tokens") if run.finished_at is not None else None,
        "error": _error(run),
        "seed": run.recipe["args"].get("seed", USUAL_SEED),
        "user_provided_suffix": asked["suffix"],
        "metadata": asked["metadata"],
        "integrations": asked["integrations"],
        "tunegate": {
            "run_id": run.id,
            "team": run.team,
            **{name: described[name] for name in SHOWN},
            "run": f"/runs/{run.id}",
            "explain": f"/runs/{run.id}/explain",
            "cancel_requested_at": described["cancel_requested_at"],
            "learning_rate": _flag(run.recipe, "learning_rate"),
        },
    }


def hyperparameters(asked: Mapping[str, Any], recipe: Mapping[str, Any], gpu_count: int) -> dict[str, Any]:
    """What it trains with: epochs, rows of a step over all GPUs, and how much of the preset's learning rate."""
    epochs = float(_flag(recipe, "num_train_epochs"))
    return {
        "n_epochs": int(epochs) if epochs == int(epochs) else epochs,
        "batch_size": effective_batch(recipe["args"], release(recipe["trl_version"]), gpu_count),
        "learning_rate_multiplier": asked["learning_rate_multiplier"] or 1.0,
    }


def _flag(recipe: Mapping[str, Any], name: str) -> Any:
    return recipe["args"].get(name, release(recipe["trl_version"]).flags[name].default)


def _error(run: Run) -> dict[str, Any] | None:
    if run.state != RunState.FAILED:
        return None
    failure = run.failure or {}
    cause = failure.get("cause", run.reason)
    param = "training_file" if cause in OF_THE_DATA else "model" if cause in OF_THE_MODEL else None
    told = failure.get("message") or run.message or "the run has failed"
    return {"code": cause, "message": told, "param": param}


def _estimated_finish(run: Run, now: datetime) -> int | None:
    eta = (run.progress or {}).get("eta_seconds")
    return seconds(now + timedelta(seconds=eta)) if run.state == RunState.RUNNING and eta is not None else None
