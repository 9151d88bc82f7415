"""Budgets of the organisation, of teams and of their users: the same three verbs at three places."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated, Any

from fastapi import Depends, Query
from fastapi.responses import JSONResponse, Response
from sqlmodel import Session

from service.api import audited
from service.api.auth import Admin, Caller, Viewer
from service.api.contract import Routes
from service.api.money_schemas import BudgetObject, BudgetPut, GrantCreate
from service.api.pages import After, Limit, Page, decode, page_json, page_of
from service.api.problems import responses
from service.api.state import App, State
from service.api.teams import visible_team
from service.domain.access import Role
from service.domain.budget import Balance, Period, forecast
from service.domain.errors import NotAllowed, NotFound
from service.domain.moment import iso
from service.domain.money import to_micro_usd, to_usd
from service.store import budgets, standings, users, windows
from service.store.budgets import Owner, Terms
from service.store.tables import Budget, BudgetWindow

router = Routes("budgets")
OfPeriod = Annotated[Period, Query(description="Which of the owner's budgets")]

# The forecast's rate is taken from so much of the past, or from the window's start if that is later.
RECENT = timedelta(days=7)


def _owner(
    team: str,
    caller: Viewer,
    app: App,
    user: Annotated[
        str | None, Query(min_length=1, max_length=100, description="One user's budget within the team")
    ] = None,
) -> Owner:
    with app.gate.db.read() as session:
        visible_team(session, caller, team)
        if user is not None and users.get(session, team, user) is None:
            raise NotFound(f"there is no user '{user}' of a team '{team}'", field="user")
    return Owner(team, user)


def _changeable(owner: Annotated[Owner, Depends(_owner)], caller: Viewer) -> Owner:
    if owner.user is not None and not caller.reaches(Role.LEAD):
        raise NotAllowed("a user's budget is set by a lead", remedy="Ask a lead of the team, or an admin.")
    if owner.user is None and not caller.reaches(Role.ADMIN):
        raise NotAllowed("a team's budget is granted by an admin", remedy="A lead sets the budgets of its users.")
    return owner


OwnerOf = Annotated[Owner, Depends(_owner)]
OwnerToChange = Annotated[Owner, Depends(_changeable)]
ORGANISATION = Owner()


@router.get("/budgets", response_model=Page[BudgetObject], summary="List budgets", responses=responses(422))
def list_budgets(caller: Viewer, app: App, limit: Limit = 50, after: After = None) -> Response:
    """Every budget that binds the caller's team, by name; all of them for admins."""
    with app.gate.db.read() as session:
        found = budgets.page(session, caller.team, decode(after), limit + 1)
        shown, has_more, following = page_of(found, limit, lambda budget: budget.name)
        data = _all_json(session, shown, app.now())
    return JSONResponse(page_json(data, has_more, following))


@router.get(
    "/teams/{team}/budget", response_model=BudgetObject, summary="Read a team's budget", responses=responses(404)
)
def read_budget(owner: OwnerOf, app: App, period: OfPeriod = Period.MONTH) -> Response:
    """How the present window stands, and where it leads at its present rate."""
    return _read(app, owner, period)


@router.put(
    "/teams/{team}/budget",
    response_model=BudgetObject,
    summary="Set a team's budget",
    responses=responses(403, 404, 422),
)
def put_budget(owner: OwnerToChange, body: BudgetPut, caller: Viewer, app: App) -> Response:
    """One for each period; a run must fit all that are above it. Nothing is killed by a lower limit: it stops
    admissions until the window has room again."""
    return _change(app, caller, partial(_grant, owner=owner, body=body, by=caller.name, now=app.now()))


@router.delete("/teams/{team}/budget", status_code=204, summary="End a team's budget", responses=responses(403, 404))
def delete_budget(owner: OwnerToChange, caller: Viewer, app: App, period: OfPeriod = Period.MONTH) -> Response:
    """The limit is gone, what was spent under it stays on record. A team without any budget has no money."""
    return _end(app, owner, period, caller)


@router.post(
    "/teams/{team}/budget/grants",
    status_code=201,
    response_model=BudgetObject,
    summary="Add to a team's window",
    responses=responses(403, 404, 422),
)
def post_grant(
    owner: OwnerToChange, body: GrantCreate, caller: Viewer, app: App, period: OfPeriod = Period.MONTH
) -> Response:
    """More money for the present window alone: how one run is let past a limit that stays."""
    return _change(
        app, caller, partial(_add, owner=owner, period=period, body=body, by=caller.name, now=app.now()), 201
    )


@router.get(
    "/organisation/budget",
    response_model=BudgetObject,
    summary="Read the organisation's budget",
    responses=responses(404),
)
def read_organisation_budget(_caller: Viewer, app: App, period: OfPeriod = Period.MONTH) -> Response:
    """What all teams together may spend."""
    return _read(app, ORGANISATION, period)


@router.put(
    "/organisation/budget",
    response_model=BudgetObject,
    summary="Set the organisation's budget",
    responses=responses(403, 422),
)
def put_organisation_budget(body: BudgetPut, caller: Admin, app: App) -> Response:
    """Above the budgets of all teams; it grants no team anything by itself."""
    return _change(app, caller, partial(_grant, owner=ORGANISATION, body=body, by=caller.name, now=app.now()))


@router.delete(
    "/organisation/budget",
    status_code=204,
    summary="End the organisation's budget",
    responses=responses(403, 404),
)
def delete_organisation_budget(caller: Admin, app: App, period: OfPeriod = Period.MONTH) -> Response:
    """Only the teams' own budgets bind from now on."""
    return _end(app, ORGANISATION, period, caller)


@router.post(
    "/organisation/budget/grants",
    status_code=201,
    response_model=BudgetObject,
    summary="Add to the organisation's window",
    responses=responses(403, 404, 422),
)
def post_organisation_grant(body: GrantCreate, caller: Admin, app: App, period: OfPeriod = Period.MONTH) -> Response:
    """More money for the present window alone."""
    return _change(
        app, caller, partial(_add, owner=ORGANISATION, period=period, body=body, by=caller.name, now=app.now()), 201
    )


def _read(app: State, owner: Owner, period: Period) -> Response:
    with app.gate.db.read() as session:
        return JSONResponse(_json(session, budget_of(session, owner, period), app.now()))


def _change(app: State, caller: Caller, work: Callable[[Session], dict[str, Any]], status: int = 200) -> Response:
    answer = audited.write(app, caller, work, wakes=("admit",))
    return JSONResponse(answer, status)


def _end(app: State, owner: Owner, period: Period, caller: Caller) -> Response:
    def work(session: Session) -> None:
        budgets.end(session, budget_of(session, owner, period), by=caller.name, now=app.now())

    audited.write(app, caller, work, wakes=("admit",))
    return Response(status_code=204)


def budget_of(session: Session, owner: Owner, period: Period) -> Budget:
    """An owner's budget of a period; raises NotFound where none is granted."""
    budget = budgets.find(session, owner, period)
    if budget is None:
        raise NotFound(
            f"{owner.subject} has no budget for the period '{period}'", remedy="PUT at this path grants one."
        )
    return budget


def _grant(session: Session, owner: Owner, body: BudgetPut, by: str, now: datetime) -> dict[str, Any]:
    terms = Terms(to_micro_usd(body.limit_usd), body.hard, body.carry_over, tuple(sorted(set(body.thresholds))))
    return _json(session, budgets.grant(session, owner, Period(body.period), terms, by, now), now)


def _add(session: Session, owner: Owner, period: Period, body: GrantCreate, by: str, now: datetime) -> dict[str, Any]:
    budget = budget_of(session, owner, period)
    budgets.add_once(session, budget, to_micro_usd(body.amount_usd), by, body.comment, now)
    return _json(session, budget, now)


def _json(session: Session, budget: Budget, now: datetime) -> dict[str, Any]:
    return _all_json(session, [budget], now)[0]


def _all_json(session: Session, listed: Sequence[Budget], now: datetime) -> list[dict[str, Any]]:
    present = windows.all_or_new(session, listed, now)
    recent = standings.charged_lately(session, [budget.id for budget in listed], RECENT, now)
    return [
        _one_json(
            budget,
            present[budget.id],
            standings.balance(session, budget, present[budget.id]),
            recent.get(budget.id, 0),
            now,
        )
        for budget in listed
    ]


def _one_json(budget: Budget, window: BudgetWindow, standing: Balance, recent: int, now: datetime) -> dict[str, Any]:
    since = max(window.starts_at, now - RECENT)
    ahead = forecast(standing, recent, now - since, now, window.ends_at)
    return {
        "name": budget.name,
        "scope": budget.scope,
        "team": budget.team,
        "user": budget.user,
        "origin": budget.origin,
        "period": budget.period,
        "hard": budget.hard,
        "carry_over": budget.carry_over,
        "thresholds": budget.thresholds,
        "limit_usd": to_usd(budget.limit_micro_usd),
        "carried_usd": to_usd(window.carried_micro_usd),
        "granted_usd": to_usd(window.granted_micro_usd),
        "reserved_usd": to_usd(standing.reserved),
        "charged_usd": to_usd(standing.charged),
        "outside_usd": to_usd(window.outside_micro_usd),
        "outside_unpriced_jobs": window.outside_unpriced,
        "remaining_usd": to_usd(standing.remaining),
        "window_start": iso(window.starts_at),
        "window_end": iso(window.ends_at),
        "forecast": {
            "per_day_usd": to_usd(ahead.per_day),
            "by_window_end_usd": None if ahead.by_window_end is None else to_usd(ahead.by_window_end),
            "ends_at": None if ahead.ends_at is None else iso(ahead.ends_at),
        },
    }
