"""How the present window of a budget was spent, for a chart of what is left of it."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from fastapi.responses import JSONResponse, Response
from sqlmodel import Session

from service.api.auth import Viewer
from service.api.budgets import ORGANISATION, OfPeriod, OwnerOf, budget_of
from service.api.contract import Routes
from service.api.money_schemas import BurnDownObject
from service.api.problems import responses
from service.api.state import App, State
from service.domain.budget import Period
from service.domain.burn_down import steps
from service.domain.moment import iso
from service.domain.money import to_usd
from service.store import organisation, standings, teams, windows
from service.store.budgets import Owner

router = Routes("budgets")


@router.get(
    "/teams/{team}/budget/burn-down",
    response_model=BurnDownObject,
    summary="How a team's window was spent",
    responses=responses(404),
)
def read_burn_down(owner: OwnerOf, app: App, period: OfPeriod = Period.MONTH) -> Response:
    """What the ledger charged to the present window, by day; by hour where the window is a day. The sum is the budget's
    `charged_usd`."""
    return _read(app, owner, period)


@router.get(
    "/organisation/budget/burn-down",
    response_model=BurnDownObject,
    summary="How the organisation's window was spent",
    responses=responses(404),
)
def read_organisation_burn_down(_caller: Viewer, app: App, period: OfPeriod = Period.MONTH) -> Response:
    """As for a team's. Jobs outside the gate are in no step: when their cost arose is not kept."""
    return _read(app, ORGANISATION, period)


def _read(app: State, owner: Owner, period: Period) -> Response:
    with app.gate.db.read() as session:
        budget = budget_of(session, owner, period)
        window = windows.find_or_new(session, budget, app.now())
        charges = standings.charged_in(session, window.id)
        zone = _zone(session, owner)
    data = steps(charges, period, (window.starts_at, window.ends_at), ZoneInfo(zone))
    return JSONResponse(
        {
            "window_start": iso(window.starts_at),
            "window_end": iso(window.ends_at),
            "time_zone": zone,
            "data": [
                {"from": iso(step.starts_at), "to": iso(step.ends_at), "charged_usd": to_usd(step.charged)}
                for step in data
            ],
        }
    )


def _zone(session: Session, owner: Owner) -> str:
    team = None if owner.team is None else teams.get(session, owner.team)
    return (team or organisation.read(session)).time_zone
