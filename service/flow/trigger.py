"""trigger: a repository that the Hub told of is read again, and a new commit makes a run with that commit pinned.

What the Hub's webhook said is a hint and no more: who trusts it would train on whatever anybody may send. A commit that
one of the trigger's own runs has made is none to train on: it would go round for ever.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import structlog
from sqlmodel import Session

from service.domain.backoff import hub_backoff
from service.domain.overlap import Overlap
from service.domain.placeholders import of_time
from service.flow.each import each
from service.flow.gate import Gate
from service.flow.origin import Came, Occasion, start
from service.hub.faults import HubFault
from service.store import credentials, origins, triggers
from service.store.tables import Origin, Trigger

log = structlog.get_logger()
MOST_TRIES = 10


@dataclass(frozen=True)
class Seen:
    """What was found on the Hub: the newest commit, or why nothing was."""

    revision: str | None
    problem: str = ""


def run_once(gate: Gate) -> int:
    """Look at what is due; how many triggers were looked at."""
    with gate.db.read() as session:
        pairs = [pair for one in triggers.due(session, gate.clock()) if (pair := origins.get(session, Trigger, one))]
    return sum(bool(each("trigger", trigger.id, partial(_see_to, gate, origin, trigger))) for origin, trigger in pairs)


def _see_to(gate: Gate, origin: Origin, trigger: Trigger) -> bool:
    seen = _look(gate, origin, trigger)
    work = partial(turn, trigger_id=trigger.id, seen=seen, gate=gate, now=gate.clock())
    if (came := gate.write(work)) is not None:
        log.info("trigger_looked", trigger_id=trigger.id, outcome=came.outcome, run_id=came.run_id)
    return came is not None


def _look(gate: Gate, origin: Origin, trigger: Trigger) -> Seen:
    """Read the repository with the team's own tokens where it has some."""
    with gate.db.read() as session:
        own = None if credentials.get(session, origin.team) is None else origin.team
    try:
        return Seen(gate.hub_of(own).lookup.head(f"{trigger.repo_type}s", trigger.repo))
    except HubFault as error:
        return Seen(None, f"{trigger.repo} could not be read: {error.message}")


def turn(session: Session, trigger_id: str, seen: Seen, gate: Gate, now: datetime) -> Came | None:
    """What a look comes to; None where it was seen to meanwhile, or is looked at again later."""
    found = origins.lock(session, Trigger, trigger_id)
    if found is None or found[1].due_at is None or found[1].due_at > now:  # or it was told of another change
        return None
    origin, trigger = found
    if seen.revision is None and trigger.tries < MOST_TRIES:
        trigger.tries += 1
        trigger.due_at = now + hub_backoff(trigger.tries)
        trigger.trouble = seen.problem
        session.add(trigger)
        return None
    if (writer := triggers.writes_still(session, trigger)) is not None:  # whose commit it is, its end will tell
        trigger.due_at = now + timedelta(seconds=trigger.debounce_seconds)
        trigger.trouble = f"{writer.id} is publishing to {trigger.repo}: it is looked at again after that"
        session.add(trigger)
        return None
    came = _judge(session, origin, trigger, seen, gate, now)
    trigger.last_at, trigger.last_outcome, trigger.last_message = now, came.outcome, came.message
    trigger.last_revision = seen.revision
    trigger.last_run_id = came.run_id or trigger.last_run_id
    trigger.seen_revision = seen.revision or trigger.seen_revision
    trigger.due_at = trigger.told_at = trigger.trouble = None
    trigger.tries = 0
    session.add(trigger)
    if came.run_id is None:
        told = {"repo": trigger.repo, "revision": seen.revision, "message": came.message}
        origins.tell(session, origin, f"trigger.{came.outcome}", now, **told)
    return came


def _judge(session: Session, origin: Origin, trigger: Trigger, seen: Seen, gate: Gate, now: datetime) -> Came:
    if seen.revision is None:
        return Came("refused", seen.problem)
    if seen.revision == trigger.seen_revision:
        return Came("skipped", f"{trigger.repo} is at {seen.revision[:12]} still")
    if (run_id := triggers.published_by(session, trigger, seen.revision)) is not None:
        return Came("skipped", f"{seen.revision[:12]} was published by {run_id}, a run of this trigger: it starts none")
    return start(session, origin, Overlap(trigger.overlap), occasion(origin, trigger, seen.revision, now), gate, now)


def occasion(origin: Origin, trigger: Trigger, revision: str, now: datetime) -> Occasion:
    """A commit. What a `trl_sft` template reads of the repository is pinned to it, unless it names a revision."""
    values = {**of_time(now), "revision": revision, "repo": trigger.repo}
    recipe = origin.template.get("recipe")
    reads, at = (
        ("dataset_name", "dataset_revision")
        if trigger.repo_type == "dataset"
        else ("model_name_or_path", "model_revision")
    )
    is_read = isinstance(recipe, dict) and str(recipe.get(reads, "")).lower() == trigger.repo.lower()
    pinned = {at: revision} if is_read and isinstance(recipe, dict) and recipe.get(at) is None else {}
    return Occasion(revision, values, pinned)
