"""Whose jobs an address is about: its namespace has to be one in which the team's runs start."""

from __future__ import annotations

from sqlmodel import Session

from service.api.auth import Caller
from service.api.state import State
from service.domain.errors import Invalid, NotAllowed
from service.store import credentials


def namespaces(session: Session, app: State, caller: Caller) -> list[str]:
    """Where a caller's runs start, what they get without naming one first; empty where each run names its own."""
    credential = credentials.get(session, caller.team)
    if credential is not None:
        return list(credential.namespaces)
    return [] if app.namespace is None else [app.namespace]


def default_namespace(session: Session, app: State, caller: Caller) -> str:
    """The one that a client takes where its caller names none. Raises Invalid where there is none."""
    if not (known := namespaces(session, app, caller)):
        raise Invalid("this service has no namespace of its own", remedy="Name yours: --namespace, or namespace=.")
    return known[0]


def require(session: Session, app: State, caller: Caller, namespace: str) -> None:
    """Raise NotAllowed where a team's runs are not in this namespace. Admins see those of all teams."""
    known = namespaces(session, app, caller)
    if caller.team is not None and known and namespace not in known:
        raise NotAllowed(
            f"the runs of team {caller.team} are in the namespace {' or '.join(known)}, and not in '{namespace}'",
            remedy=f"Name {known[0]} (--namespace, or namespace=), or leave it out.",
        )


def team_of(caller: Caller) -> str:
    """The team that a new run belongs to. Raises NotAllowed for an admin, whose key has none."""
    if caller.team is None:
        raise NotAllowed(
            "an admin's key belongs to no team, and a job here is a team's run",
            remedy="Take a key of the team: POST /teams/{team}/keys makes one.",
        )
    return caller.team
