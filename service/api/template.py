"""What schedules and triggers have in common for their callers: a template that is checked, a budget, an owner."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlmodel import Session

from service.api.auth import Caller
from service.api.money_schemas import BudgetPut
from service.api.state import State
from service.domain.access import Role
from service.domain.budget import Period
from service.domain.errors import BrokenRule, Invalid, NotAllowed, NotFound
from service.domain.money import to_micro_usd
from service.flow.origin import Occasion, make
from service.store import budgets, teams
from service.store.budgets import Owner, Terms
from service.store.tables import Origin
from service.store.trial import trial

# What one run is asked and every run of a template cannot be.
NOT_OF_MANY = {
    "team": "it is of one team",
    "on_behalf_of": "its runs are of whoever made it",
    "after": "runs to come after are of one run each",
    "start_before": "a moment would have passed with the first run",
    "webhooks": "endpoints of one run end with it: POST /webhooks registers one for all runs of the team",
}


def checked(template: dict[str, Any]) -> dict[str, Any]:
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


def team_for(session: Session, caller: Caller, named: str | None) -> str:
    """The team that something is made for. Raises NotFound and TeamArchived."""
    team = caller.team_or(named)
    if (found := teams.get(session, team)) is None:
        raise NotFound(f"there is no team '{team}'", field="team", remedy="POST /teams makes one.")
    teams.refuse_archived(found)
    return team


def require_own(caller: Caller, origin: Origin) -> None:
    """Raise NotAllowed where it is not the caller's to change."""
    if not caller.reaches(Role.LEAD) and caller.name != origin.owner:
        raise NotAllowed(f"members change their own {origin.kind}s", remedy="Ask a lead of the team.")


def pause(origin: Origin, paused: bool | None, by: str, now: datetime) -> None:
    """Stop it, or let it go on; None: as it is."""
    if paused is not None and paused != (origin.paused_at is not None):
        origin.paused_at, origin.paused_by = (now, by) if paused else (None, None)


def grant(session: Session, origin: Origin, asked: BudgetPut | None, by: str, now: datetime) -> None:
    """What its runs may spend together, where that is asked for."""
    if asked is not None:
        terms = Terms(to_micro_usd(asked.limit_usd), asked.hard, asked.carry_over, tuple(asked.thresholds))
        budgets.grant(session, Owner(origin.team, origin=origin.id), Period(asked.period), terms, by, now)


def made(session: Session, origin: Origin, occasion: Occasion, app: State) -> dict[str, Any]:
    """A run of it; what is wrong with the template is told with its place in `run`."""
    try:
        return make(session, origin, occasion, app.gate, app.now())
    except BrokenRule as error:
        raise Invalid(error.rule, field="run", remedy=error.remedy) from None
    except Invalid as error:
        error.field = "run" if error.field is None else f"run.{error.field}"
        raise


def try_out(session: Session, origin: Origin, occasion: Occasion, app: State) -> None:
    """Raise what a run of it would be refused for now; nothing of it is left."""
    with trial(session):
        made(session, origin, occasion, app)
