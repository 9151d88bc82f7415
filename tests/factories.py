"""Rows for tests, with defaults for everything that a test does not care about."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlmodel import Session

from service.domain.budget import Period
from service.domain.run import RunState
from service.store import budgets, credentials, flavors, runs, team_secrets, teams
from service.store.budgets import Owner, Terms
from service.store.credentials import Brought
from service.store.flavors import Listed
from service.store.ids import new_id
from service.store.tables import Budget, Run, Team, TeamCredential
from service.store.vault import Vault


def make_team(session: Session, now: datetime, name: str = "research", budget_micro_usd: int | None = None) -> Team:
    """A team, with a monthly budget if one is given."""
    team = teams.insert(session, name, now)
    assert team is not None
    session.flush()
    if budget_micro_usd is not None:
        make_budget(session, now, budget_micro_usd, team=name)
    return team


def make_budget(
    session: Session,
    now: datetime,
    micro_usd: int,
    *,
    team: str | None = "research",
    user: str | None = None,
    period: str = "month",
    **terms: Any,
) -> Budget:
    """A hard budget of team `research`, for a month; `team` None: the organisation's."""
    return budgets.grant(session, Owner(team, user), Period(period), Terms(micro_usd, **terms), "key_admin", now)


def make_run(session: Session, now: datetime, **fields: Any) -> Run:
    """A queued run of team `research`: ten minutes on cpu-basic."""
    values: dict[str, Any] = {
        "id": new_id("run", now),
        "team": "research",
        "state": RunState.QUEUED.value,
        "requested_by": "key_test",
        "recipe": {"kind": "script", "source": "print(1)"},
        "flavor": "cpu-basic",
        "requested_timeout_seconds": 600,
        "namespace": "acme",
        "env": {},
        "secret_names": [],
        "priority": 50,
        "labels": {},
        "created_at": now,
        "checked_at": now,
        **fields,
    }
    run = Run(**values)
    runs.insert(session, run, now)
    return run


def make_prices(session: Session, now: datetime, **prices: int) -> None:
    """The price list: cpu-basic at its real price, and others as given (`a10g_large=25_000`)."""
    listed = {"cpu-basic": 167, **{name.replace("_", "-"): price for name, price in prices.items()}}
    flavors.replace_all(session, [Listed(name, price, {"name": name}) for name, price in listed.items()], now)


def make_credentials(
    session: Session, vault: Vault, now: datetime, team: str, tokens: tuple[str, str], *namespaces: str
) -> TeamCredential:
    """A team's own control and job token, unchecked."""
    sealed = vault.seal({"control_token": tokens[0], "job_token": tokens[1]})
    look = {"account": "mira", "role": "fineGrained", "warnings": []}
    found = {"control": look, "job": look, "problems": []}
    return credentials.put(session, team, Brought(sealed, namespaces, False, found), "key_lead", now)


def make_secret(session: Session, vault: Vault, now: datetime, team: str, name: str, value: str) -> None:
    """A named secret of a team's."""
    team_secrets.put(session, team, name, vault.seal({"value": value}), "key_lead", now)
