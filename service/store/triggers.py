"""Triggers: which repositories are watched, and what came of their commits."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlmodel import Session, col, select

from service.domain.run import RunState
from service.store import origins
from service.store.tables import Origin, Run, Trigger
from service.store.vault import Vault

MOST_DUE = 100
# However often it is told of changes, it is looked at after so many times its debounce.
MOST_DEBOUNCES = 10


def secret_of(vault: Vault, trigger: Trigger) -> str:
    """What the Hub sends along in `X-Webhook-Secret`."""
    return vault.token_for(f"hub-hook/{trigger.id}/{trigger.secret_number}")


def due(session: Session, now: datetime) -> list[str]:
    """Those to look at, the longest due first."""
    query = select(Trigger.id).where(col(Trigger.due_at) <= now).order_by(col(Trigger.due_at)).limit(MOST_DUE)
    return list(session.exec(query))


def hint(session: Session, trigger: Trigger, now: datetime) -> None:
    """It was told of a change: it is looked at once nothing more has been told for its debounce, and in any case after
    some of these."""
    wait = timedelta(seconds=trigger.debounce_seconds)
    trigger.told_at = trigger.told_at or now
    trigger.due_at = min(now + wait, trigger.told_at + MOST_DEBOUNCES * wait)
    trigger.tries = 0
    session.add(trigger)


def writes_still(session: Session, trigger: Trigger) -> Run | None:
    """A run of the trigger's own that has not ended and that publishes into what is watched."""
    if trigger.repo_type != "model":
        return None
    mine = (run for run in origins.open_runs(session, trigger.id) if run.state != RunState.QUEUED)
    return next((run for run in mine if (run.output_repo or "").lower() == trigger.repo.lower()), None)


def published_by(session: Session, trigger: Trigger, revision: str) -> str | None:
    """The run of the trigger's own that a commit is of."""
    mine = select(Run.id, Run.output).where(Run.origin == trigger.id, col(Run.output).is_not(None))
    return next((run_id for run_id, output in session.exec(mine) if (output or {}).get("revision") == revision), None)


def round_trip(session: Session, origin: Origin, trigger: Trigger) -> list[str] | None:
    """The way by which a trigger's runs would start it again: repositories that are watched and published to, as far as
    templates name them. None where there is none."""
    if trigger.repo_type != "model":
        return None
    watched = [pair for pair in origins.every(session, Trigger) if pair[1].repo_type == "model"]
    way, known, ahead = [trigger.repo], {trigger.repo.lower()}, [origin]
    while ahead:
        repo = str(ahead.pop().template.get("output_repo") or "").lower()
        if repo == trigger.repo.lower():
            return [*way, trigger.repo]
        if repo and repo not in known:
            known.add(repo)
            way.append(repo)
            ahead += [one for one, other in watched if other.repo.lower() == repo]
    return None


def end_all(session: Session, team: str, now: datetime) -> None:
    """None of a team's makes a run any more."""
    for origin, trigger in origins.every(session, Trigger, team):
        end(session, origin, trigger, now)


def end(session: Session, origin: Origin, trigger: Trigger, now: datetime) -> None:
    """It is taken away; its runs go on."""
    origin.ended_at, trigger.due_at = now, None
    session.add(origin)
    session.add(trigger)
