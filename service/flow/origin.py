"""origin: a run is made from the template of a schedule, a trigger or a sweep, beside those that have not ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ValidationError
from sqlmodel import Session, col

from service.domain.errors import BrokenRule, NotAllowed, ServiceError
from service.domain.grid import placed
from service.domain.overlap import MOST_QUEUED, Overlap
from service.domain.placeholders import filled
from service.domain.request import RunRequest
from service.flow.enqueue import Submitter, enqueue
from service.flow.gate import Gate
from service.store import cancels, origins, topics, users
from service.store.tables import Origin, Run
from service.store.trial import part


@dataclass(frozen=True)
class Came:
    """What an occasion came to: `started` with the run's id, `skipped` or `refused` with the reason."""

    outcome: str
    message: str
    run_id: str | None = None


class Filled(BaseModel):
    """Where a filled template stands in what is said of its faults."""

    run: RunRequest


@dataclass(frozen=True)
class Occasion:
    """Why a run is made now: what names it among all of its origin's, and what it fills into the template. `settled`
    are values of the recipe's, by their paths with dots."""

    name: str
    values: Mapping[str, str]
    settled: Mapping[str, Any] = field(default_factory=dict)


def start(session: Session, origin: Origin, overlap: Overlap, occasion: Occasion, gate: Gate, now: datetime) -> Came:
    """Make a run where the earlier ones let it. What a refused one has written is undone; its origin goes on."""
    running = origins.open_runs(session, origin.id)
    if running and overlap is Overlap.SKIP:
        return Came("skipped", f"{running[0].id} of the {origin.kind} has not ended")
    if overlap is Overlap.QUEUE and len(running) > MOST_QUEUED:
        return Came("skipped", f"{len(running)} runs of the {origin.kind} have not ended")
    try:
        with part(session):
            run = make(session, origin, occasion, gate, now)
            if running and overlap is Overlap.CANCEL_PREVIOUS:
                ids = [one.id for one in running]
                others = col(Run.id).in_(ids) | col(Run.parent).in_(ids)
                cancels.request(session, others, origin.name, now, message=f"{origin.name} goes on with {run['id']}")
                topics.tell(session, *topics.has_work("cancel"))
    except (ServiceError, BrokenRule, ValidationError) as error:
        return Came("refused", _said(error))
    topics.tell(session, *topics.has_work("prepare", "preflight"))
    return Came("started", "", run["id"])


def make(session: Session, origin: Origin, occasion: Occasion, gate: Gate, now: datetime) -> dict[str, Any]:
    """The run of an occasion: the run object. Raises what `enqueue` raises, BrokenRule for a placeholder that there is
    not, and ValidationError where the filled template is no request."""
    owner = users.get(session, origin.team, origin.owner)
    if owner is not None and owner.shut_out_at is not None:
        raise NotAllowed(f"the user '{origin.owner}' is shut out", remedy="Make it anew as another user.")
    body = filled(origin.template, occasion.values)
    if occasion.settled:
        body["recipe"] = placed(body["recipe"], occasion.settled)
    request = Filled.model_validate({"run": body}).run
    key = f"{origin.id}/{occasion.name}"  # one that comes again finds its run, whatever the template says by now
    who = Submitter(origin.team, origin.owner, key, gate.vault.body_hmac(key))
    run, _ = enqueue(session, request, who, gate.namespace, gate.vault, now, gate.limits, origin=origin.id)
    return run


def _said(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"[:500]
    return str(error)[:500]
