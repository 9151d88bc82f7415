"""A job is made: the same enqueue as for POST /runs, once, however often its client sends it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from fastapi import Request
from sqlmodel import Session

from service.api.auth import Caller
from service.api.idempotency import as_submitter, keyed
from service.api.state import State
from service.domain import gpus
from service.domain.errors import NotFound, ServiceError
from service.doors.openai.as_run import Surroundings, in_the_jobs_words, run_request
from service.doors.openai.asked import PREFIX, JobRequest
from service.doors.openai.chosen import chosen
from service.doors.openai.ids import team_of
from service.flow.enqueue import Submitter, enqueue, place_of, replay
from service.store import audit, fine_tuning, flavors, idempotency, parked, rows, runs, team_secrets, teams
from service.store.ids import new_id
from service.store.tables import FineTuningJob, Run

# openai-python names each try by this header, and no key: `_base_client.py: _build_headers`.
RETRY_HEADER = "x-stainless-retry-count"
# Keys of requests that came with none; as long as a client may go on trying (2 retries of 10 minutes).
OWN_KEY, TRIED_FOR = "openai-", timedelta(minutes=30)


@dataclass(frozen=True)
class Order:
    """Who asks for a job, and whether this is another try of a request that carries no key."""

    who: Submitter
    is_another_try: bool


def order_of(request: Request, caller: Caller, app: State, key: str | None, body: Mapping[str, Any]) -> Order:
    """The order of a request. Raises Invalid for a key that is none."""
    who = as_submitter(caller, caller.team_or(_named_team(body) or team_of(request, caller)))
    if key is not None:
        return Order(keyed(request, app, who, key, {"openai": body}), is_another_try=False)
    own = f"{OWN_KEY}{new_id('try', app.now())}"
    hmac = app.gate.vault.body_hmac({"openai": body, "by": caller.name})
    count = request.headers.get(RETRY_HEADER, "0")
    return Order(replace(who, idempotency_key=own, body_hmac=hmac), count.isdecimal() and int(count) > 0)


def made_before(session: Session, order: Order, now: datetime) -> Run | None:
    """The run that this request made before, by its key, or by an earlier try of it. Raises IdempotencyConflict."""
    who = order.who
    assert who.idempotency_key is not None, "each order has one"
    if order.is_another_try:
        found = idempotency.of_body(session, who.team, OWN_KEY, who.body_hmac, now - TRIED_FOR)
    else:
        found = idempotency.find(session, who.team, who.idempotency_key)
    if found is None:
        return None
    replay(session, found.run_id, found.body_hmac, who.body_hmac, now)
    return runs.get(session, found.run_id)


def create(session: Session, asked: JobRequest, order: Order, app: State, now: datetime) -> tuple[Run, bool]:
    """The run of a job, and whether it was made before. Raises what `enqueue` raises, in the job's own words."""
    if (before := made_before(session, order, now)) is not None:
        audit.leave_out(session)
        return before, True
    try:
        run_id, is_replay = _enqueue(session, asked, order.who, app, now)
    except ServiceError as error:
        raise _in_the_jobs_words(error, asked) from None
    run = runs.get(session, run_id)
    assert run is not None, "it was just made"
    if is_replay:
        audit.leave_out(session)
    else:
        _note(session, asked, run)
        audit.about(session, f"/runs/{run.id}", run.team)
    return run, is_replay


def _enqueue(session: Session, asked: JobRequest, who: Submitter, app: State, now: datetime) -> tuple[str, bool]:
    if teams.get(session, who.team) is None:
        raise NotFound(f"there is no team '{who.team}'", field="team", remedy="POST /teams makes one.")
    options = asked.options()
    named, flavor = options.get("namespace"), options.get("flavor")
    place = place_of(session, named if isinstance(named, str) else None, who.team, app.namespace)
    data = chosen(session, asked, who.team, now)
    around = Surroundings(
        namespace=place.namespace,
        gpus=gpus.count(flavors.hardware(session, flavor)) if isinstance(flavor, str) else 1,
        secrets=frozenset(one.name for one in team_secrets.every(session, who.team)),
        timeout_seconds=app.gate.limits.job_timeout // timedelta(seconds=1),
        tail=secrets.token_hex(4),
    )
    request = run_request(asked, data.training, data.evaluated_on, around)
    waits_for = parked.FILE if data.is_under_way else None
    run, is_replay = enqueue(
        session, request, who, app.namespace, app.gate.vault, now, app.gate.limits, waits_for=waits_for
    )
    return run["id"], is_replay


def _note(session: Session, asked: JobRequest, run: Run) -> None:
    kept = {
        "model": asked.model,
        "suffix": asked.suffix,
        "metadata": asked.metadata,
        "integrations": [one.model_dump(exclude_none=True) for one in asked.integrations or ()] or None,
        "learning_rate_multiplier": asked.training.learning_rate_multiplier,
    }
    job = rows.new(
        FineTuningJob,
        run_id=run.id,
        team=run.team,
        training_file=asked.training_file,
        validation_file=asked.validation_file,
        has_metadata=bool(asked.metadata),
        asked=kept,
    )
    fine_tuning.insert(session, job, asked.metadata or {})


def _in_the_jobs_words(error: ServiceError, asked: JobRequest) -> ServiceError:
    place = in_the_jobs_words(asked)
    own = {*JobRequest.model_fields}

    def told(field: str | None) -> str | None:
        return field if field is None or field.partition(".")[0] in own else place(field)

    error.field = told(error.field)
    if listed := error.extra.get("errors"):
        error.extra["errors"] = [{**one, "field": told(one["field"])} for one in listed]
    return error


def _named_team(body: Mapping[str, Any]) -> str | None:
    """The team that a body names, as an option or by its metadata."""
    options, metadata = body.get("tunegate"), body.get("metadata")
    named = options.get("team") if isinstance(options, dict) else None
    if named is None and isinstance(metadata, dict):
        named = metadata.get(f"{PREFIX}team")
    return named if isinstance(named, str) else None
