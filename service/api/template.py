"""What schedules, triggers and sweeps have in common for their callers: how they are found, made, changed and shown."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeVar

from sqlmodel import Session

from service.api.auth import Caller
from service.api.schedule_schemas import ScheduleCreate, SchedulePatch
from service.api.state import State
from service.api.sweep_schemas import SweepCreate
from service.api.trigger_schemas import TriggerCreate, TriggerPatch
from service.domain.access import Role
from service.domain.budget import Period
from service.domain.errors import BrokenRule, Invalid, NotAllowed, NotFound
from service.domain.moment import iso, iso_or_none
from service.domain.money import to_micro_usd
from service.domain.overlap import Overlap
from service.flow.origin import Occasion, make
from service.store import audit, budgets, origins, teams
from service.store.budgets import Owner, Terms
from service.store.ids import new_id
from service.store.origins import Kind
from service.store.tables import Origin, Schedule, Trigger
from service.store.trial import trial

Made = ScheduleCreate | TriggerCreate
Changed = SchedulePatch | TriggerPatch
# What makes runs again and again.
Repeats = TypeVar("Repeats", Schedule, Trigger)

# What one run is asked and every run of a template cannot be.
NOT_OF_MANY = {
    "team": "it is of one team",
    "on_behalf_of": "its runs are of whoever made it",
    "after": "runs to come after are of one run each",
    "start_before": "a moment would have passed with the first run",
    "webhooks": "endpoints of one run end with it: POST /webhooks registers one for all runs of the team",
}


def seen(caller: Caller, pair: tuple[Origin, Kind] | None, kind: str, origin_id: str) -> tuple[Origin, Kind]:
    """One that is the caller's to see; raises NotFound."""
    if pair is None or not caller.sees(pair[0].team):
        raise NotFound(f"there is no {kind} '{origin_id}'")
    return pair


def own(caller: Caller, pair: tuple[Origin, Kind] | None, kind: str, origin_id: str) -> tuple[Origin, Kind]:
    """One that is the caller's to change; raises NotFound and NotAllowed."""
    origin, row = seen(caller, pair, kind, origin_id)
    if not caller.reaches(Role.LEAD) and caller.name != origin.owner:
        raise NotAllowed(f"members change their own {kind}s", remedy="Ask a lead of the team.")
    return origin, row


def create(session: Session, kind: str, prefix: str, body: Made | SweepCreate, caller: Caller, now: datetime) -> Origin:
    """A new one of the team that it is made for. Raises NotFound, TeamArchived, Conflict and Invalid."""
    team = caller.team_or(body.team)
    if (found := teams.lock(session, team)) is None:  # two of one name at once are made one after the other
        raise NotFound(f"there is no team '{team}'", field="team", remedy="POST /teams makes one.")
    teams.refuse_archived(found)
    origins.refuse_taken(session, team, body.name)
    origin = Origin(
        id=new_id(prefix, now),
        kind=kind,
        team=team,
        name=body.name,
        owner=caller.name,
        template=_checked(body.run),
        created_at=now,
    )
    session.add(origin)
    session.flush()
    audit.about(session, f"/{kind}s/{origin.id}", team)
    return origin


def rename(session: Session, origin: Origin, name: str | None) -> None:
    """Another name, where one is given. Raises Conflict for one that is taken."""
    if name is not None:
        origins.refuse_taken(session, origin.team, name, but=origin.id)
        origin.name = name


def change(session: Session, origin: Origin, body: Changed) -> None:
    """Another name, another template, where they are given. Raises Conflict and Invalid."""
    rename(session, origin, body.name)
    if body.run is not None:
        origin.template = _checked(body.run)


def settle(session: Session, origin: Origin, row: Repeats, body: Made | Changed, caller: Caller, now: datetime) -> None:
    """What follows from what was set: its slots, whether it is paused, its budget. Both rows are written."""
    origin.max_concurrent_runs = 1 if row.overlap == Overlap.QUEUE else None
    if body.paused is not None and body.paused != (origin.paused_at is not None):
        origin.paused_at, origin.paused_by = (now, caller.name) if body.paused else (None, None)
    session.add(origin)
    session.add(row)
    session.flush()
    if (asked := body.budget) is not None:
        terms = Terms(to_micro_usd(asked.limit_usd), asked.hard, asked.carry_over, tuple(asked.thresholds))
        budgets.grant(session, Owner(origin.team, origin=origin.id), Period(asked.period), terms, caller.name, now)


def shown(origin: Origin) -> dict[str, Any]:
    """What is told of every kind."""
    return {
        "id": origin.id,
        "object": origin.kind,
        "name": origin.name,
        "team": origin.team,
        "owner": origin.owner,
        "run": origin.template,
        "created_at": iso(origin.created_at),
    }


def repeating(session: Session, origin: Origin) -> dict[str, Any]:
    """What is told beside of one that makes runs again and again."""
    return {
        **shown(origin),
        "budgets": [budget.name for budget in budgets.of_origin(session, origin.id)],
        "paused_at": iso_or_none(origin.paused_at),
        "paused_by": origin.paused_by,
    }


def came(row: Schedule | Trigger) -> dict[str, Any]:
    """What the last time, or the last look, came to."""
    return {
        "outcome": row.last_outcome,
        "message": row.last_message or None,
        "run_id": row.last_run_id if row.last_outcome == "started" else None,
    }


def made(session: Session, origin: Origin, occasion: Occasion, app: State) -> dict[str, Any]:
    """A run of it; what is wrong with the template is told with its place in `run`."""
    try:
        return make(session, origin, occasion, app.gate, app.now())
    except BrokenRule as error:
        raise Invalid(error.rule, field="run", remedy=error.remedy) from None
    except Invalid as error:
        own = f"{origin.team}/{origin.id}/"
        if str(error.extra.get("budget", "")).startswith(own):
            error.field = "max_cost_usd" if origin.kind == "sweep" else "budget.limit_usd"
            error.remedy = f"One run may cost ${error.extra['need_usd']:.6f}: give as much, or make it cheaper."
        else:
            error.field = _within_run(error.field)
        for one in error.extra.get("errors", ()):
            one["field"] = _within_run(one["field"])
        raise


def _within_run(field: str | None) -> str:
    return "run" if field is None else f"run.{field}"


def try_out(session: Session, origin: Origin, occasion: Occasion, app: State) -> None:
    """Raise what a run of it would be refused for now; nothing of it is left."""
    with trial(session):
        made(session, origin, occasion, app)


def _checked(template: dict[str, Any]) -> dict[str, Any]:
    """The same. Raises Invalid for what cannot be meant of many runs."""
    for name, why in NOT_OF_MANY.items():
        if template.get(name) is not None:
            raise Invalid(f"'{name}' cannot be given in a template: {why}", field=f"run.{name}", remedy="Leave it out.")
    secrets = template.get("secrets")
    for name, value in secrets.items() if isinstance(secrets, dict) else ():
        if isinstance(value, str):
            raise Invalid(
                "a template is kept, and shown to the team: a secret's value does not belong into it",
                field=f"run.secrets.{name}",
                remedy='PUT /teams/{team}/secrets/{name} keeps it for the team; name it here: {"ref": "wandb"}.',
            )
    return template
