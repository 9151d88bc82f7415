"""A run as the client reads a job (Hub OpenAPI 2026-08, `Job`; huggingface_hub 2.4, `JobInfo`).

A run that waits is a job in SCHEDULING, whose message says what it waits for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from service.domain.moment import iso
from service.domain.recipe import ADOPTED, read
from service.domain.run import RunState
from service.domain.trl.command import all_flags, flag
from service.domain.trl_sft import TrlSft
from service.doors.hf.request import NAME, NAME_LABEL

STAGES = {
    RunState.QUEUED: "SCHEDULING",
    RunState.SUBMITTING: "SCHEDULING",
    RunState.STARTING: "SCHEDULING",
    RunState.RUNNING: "RUNNING",
    RunState.SUCCEEDED: "COMPLETED",
    RunState.FAILED: "ERROR",
    RunState.CANCELLED: "CANCELED",
}
# A stage of theirs that no run is in.
DELETED = "DELETED"


def job_of(run: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """The job that stands for a run object."""
    labels = dict(run["labels"])
    name = labels.pop(NAME_LABEL, run["id"])
    by = {"id": id_of(f"user/{run['team']}/{run['requested_by']}"), "name": run["requested_by"]}
    has_begun = run["started_at"] is not None and STAGES[RunState(run["state"])] != "SCHEDULING"
    shown = {
        "type": "job",
        "id": run["id"],
        "createdAt": run["created_at"],
        "startedAt": run["started_at"] if has_begun else None,
        "finishedAt": run["finished_at"],
        "dockerImage": run["image"],
        "command": command_of(run["recipe"]),
        "arguments": [],
        "environment": run["env"],
        "secrets": sorted({*run["secrets"], "HF_TOKEN"}),
        "flavor": run["flavor"],
        "timeout": run["timeout_seconds"],
        "retry": (run["retry"] or {}).get("max_attempts", 1) - 1,
        "labels": {**labels, NAME: name},
        "volumes": [_volume(one) for one in run["volumes"]] or None,
        "durations": _durations(run, now, has_begun),
        "status": _status(run),
        "owner": {
            "id": id_of(f"namespace/{run['namespace']}"),
            "name": run["namespace"],
            "type": "org",
            "avatarUrl": "",
        },
        "createdBy": by,
        "initiator": {"type": "user", **by, "avatarUrl": ""},
    }
    return {name: value for name, value in shown.items() if value is not None}


def id_of(what: str) -> str:
    """24 hex digits that stand for a name, as the Hub has an id for each."""
    return hashlib.sha256(what.encode()).hexdigest()[:24]


def command_of(recipe: Mapping[str, Any]) -> list[str]:
    """A stored recipe as the command that a person would have typed for it."""
    if recipe == ADOPTED:
        return ["?"]
    told = read(recipe)
    if isinstance(told, TrlSft):
        return ["trl", "sft", *(word for one in all_flags(told).items() for word in flag(*one))]
    if told.command is not None:
        return [*told.command, *told.args]
    options = [word for package in told.dependencies for word in ("--with", package)]
    options += [] if told.python is None else ["--python", told.python]
    return ["uv", "run", *options, recipe.get("url") or "script.py", *told.args]


def _status(run: Mapping[str, Any]) -> dict[str, Any]:
    state = RunState(run["state"])
    status: dict[str, Any] = {"stage": STAGES[state], "message": _message(run, state)}
    failures = sum(one["cause"] is not None for one in run["attempts"])
    return status | ({"failureCount": failures} if failures else {})


def _message(run: Mapping[str, Any], state: RunState) -> str | None:
    """Why it waits, with the code that documents and `/runs` have for it; or why it ended as it did, and what helps."""
    if state is RunState.FAILED and run["failure"] is not None:
        told = [run["failure"]["message"], run["failure"].get("remedy")]
        return " ".join(one for one in told if one) or run["message"]
    if state is RunState.QUEUED and run["message"] and run["reason"]:
        return f"{run['message']} ({run['reason']})"
    return run["message"] if state is not RunState.SUCCEEDED else None


def _durations(run: Mapping[str, Any], now: datetime, has_begun: bool) -> dict[str, int]:
    """Whole seconds, floored; a part that has not begun is absent."""
    created, end = _moment(run["created_at"]), _moment(run["finished_at"] or iso(now))
    durations = {"totalSecs": int((end - created).total_seconds())}
    if has_begun:
        started = _moment(run["started_at"])
        durations["schedulingSecs"] = int((started - created).total_seconds())
        durations["runningSecs"] = int((end - started).total_seconds())
    return durations


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _volume(one: Mapping[str, Any]) -> dict[str, Any]:
    shown = {
        "type": one["type"],
        "source": one["source"],
        "mountPath": one["mount_path"],
        "revision": one.get("revision"),
        "readOnly": one.get("read_only"),
        "path": one.get("path"),
    }
    return {name: value for name, value in shown.items() if value is not None}
