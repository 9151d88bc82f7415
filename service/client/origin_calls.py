"""The calls about what makes runs by itself (schedules, triggers, sweeps), each described once for both clients.

`run` is the template: a body of POST /runs. A sweep is made under an idempotency key, as a run is. A schedule or
trigger is not sent again after a lost answer: whoever does so learns by the refusal of its name whether it is there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from service.client.call import Call, given, nothing, path
from service.client.origin_records import NewTrigger, Schedule, Sweep, SweepTable, Trigger
from service.client.run_calls import LARGEST_PAGE, page_size
from service.client.run_records import RunRecord


def schedules() -> Call[Schedule]:
    """GET /schedules, page after page: the newest first."""
    return Call("GET", "/schedules", Schedule.of, query={"limit": LARGEST_PAGE})


def schedule(schedule_id: str) -> Call[Schedule]:
    """GET /schedules/{id}."""
    return Call("GET", path("schedules", schedule_id), Schedule.of)


def create_schedule(*, name: str, run: Mapping[str, Any], **fields: Any) -> Call[Schedule]:
    """POST /schedules; `fields`: `cron` or `every`, `time_zone`, `overlap`, `misfire`, `budget`, `paused`, `team`."""
    return Call("POST", "/schedules", Schedule.of, body=given(name=name, run=run, **fields), repeats=False)


def change_schedule(schedule_id: str, **fields: Any) -> Call[Schedule]:
    """PATCH /schedules/{id}: the same fields but for `team`."""
    return Call("PATCH", path("schedules", schedule_id), Schedule.of, body=fields)


def pause_schedule(schedule_id: str) -> Call[Schedule]:
    """PATCH /schedules/{id}: times that pass from now on are passed."""
    return change_schedule(schedule_id, paused=True)


def resume_schedule(schedule_id: str) -> Call[Schedule]:
    """PATCH /schedules/{id}: from its next time on it makes runs again."""
    return change_schedule(schedule_id, paused=False)


def run_schedule(schedule_id: str) -> Call[RunRecord]:
    """POST /schedules/{id}/run: a run now, beside its times."""
    return Call("POST", path("schedules", schedule_id, "run"), RunRecord.of, repeats=False)


def remove_schedule(schedule_id: str) -> Call[None]:
    """DELETE /schedules/{id}: what it has made goes on."""
    return Call("DELETE", path("schedules", schedule_id), nothing)


def triggers() -> Call[Trigger]:
    """GET /triggers, page after page: the newest first."""
    return Call("GET", "/triggers", Trigger.of, query={"limit": LARGEST_PAGE})


def trigger(trigger_id: str) -> Call[Trigger]:
    """GET /triggers/{id}."""
    return Call("GET", path("triggers", trigger_id), Trigger.of)


def create_trigger(*, name: str, run: Mapping[str, Any], repo_type: str, repo: str, **fields: Any) -> Call[NewTrigger]:
    """POST /triggers; `fields`: `debounce`, `overlap`, `budget`, `paused`, `team`."""
    body = given(name=name, run=run, repo_type=repo_type, repo=repo, **fields)
    return Call("POST", "/triggers", NewTrigger.of, body=body, repeats=False)


def change_trigger(trigger_id: str, **fields: Any) -> Call[Trigger]:
    """PATCH /triggers/{id}: `name`, `run`, `debounce`, `overlap`, `budget`, `paused`."""
    return Call("PATCH", path("triggers", trigger_id), Trigger.of, body=fields)


def pause_trigger(trigger_id: str) -> Call[Trigger]:
    """PATCH /triggers/{id}: what is told from now on is passed over."""
    return change_trigger(trigger_id, paused=True)


def resume_trigger(trigger_id: str) -> Call[Trigger]:
    """PATCH /triggers/{id}: new commits make runs again."""
    return change_trigger(trigger_id, paused=False)


def run_trigger(trigger_id: str) -> Call[Trigger]:
    """POST /triggers/{id}/run: its repository is looked at now."""
    return Call("POST", path("triggers", trigger_id, "run"), Trigger.of)


def rotate_trigger_secret(trigger_id: str) -> Call[NewTrigger]:
    """POST /triggers/{id}/rotate-secret: the old one is refused from now on."""
    return Call("POST", path("triggers", trigger_id, "rotate-secret"), NewTrigger.of, repeats=False)


def remove_trigger(trigger_id: str) -> Call[None]:
    """DELETE /triggers/{id}: what it has made goes on."""
    return Call("DELETE", path("triggers", trigger_id), nothing)


def sweeps(*, limit: int | None = None) -> Call[Sweep]:
    """GET /sweeps, page after page: the newest first, those that have ended among them, without their points."""
    return Call("GET", "/sweeps", Sweep.of, query={"limit": page_size(limit)}, most=limit)


def sweep(sweep_id: str) -> Call[SweepTable]:
    """GET /sweeps/{id}: with its points."""
    return Call("GET", path("sweeps", sweep_id), SweepTable.of)


def create_sweep(
    *, name: str, run: Mapping[str, Any], max_cost_usd: float, idempotency_key: str | None = None, **fields: Any
) -> Call[SweepTable]:
    """POST /sweeps; the same sweep for the same key and body. `fields`: `grid` or `points`, `max_parallel`,
    `early_stopping`, `team`."""
    body = given(name=name, run=run, max_cost_usd=max_cost_usd, **fields)
    return Call(
        "POST", "/sweeps", SweepTable.of, body=body, headers={"idempotency-key": idempotency_key or str(uuid4())}
    )


def change_sweep(sweep_id: str, **fields: Any) -> Call[SweepTable]:
    """PATCH /sweeps/{id}: `name`, `max_cost_usd`, `max_parallel`."""
    return Call("PATCH", path("sweeps", sweep_id), SweepTable.of, body=fields)


def cancel_sweep(sweep_id: str) -> Call[SweepTable]:
    """POST /sweeps/{id}/cancel: its runs are asked to end; it has ended once `is_terminal`."""
    return Call("POST", path("sweeps", sweep_id, "cancel"), SweepTable.of)
