"""The audit log: who changed what, when and from where. Entries are added, read, and never changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from service.store import events, rows
from service.store.ids import new_id
from service.store.tables import AuditEntry, Endpoint, Origin, Run

ABOUT = "audit"
# The parameters of addresses that name what makes runs.
ORIGINS = ("schedule_id", "trigger_id", "sweep_id")
LEFT_OUT = "audit left out"
PORTION = 500


@dataclass(frozen=True)
class Deed:
    """What somebody is about to do: who, by which way, from where, and the route with its parameters. `team`: the
    actor's own, None for admins."""

    actor: str
    role: str
    via: str
    team: str | None
    action: str
    path: str
    parameters: Mapping[str, str]
    key_id: str | None = None
    address: str | None = None
    user_agent: str | None = None


@dataclass(frozen=True)
class Narrowed:
    """Which entries are asked for; None and "" narrow nothing."""

    team: str | None = None
    actor: str | None = None
    object: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def about(session: Session, path: str, team: str | None = None, **change: Any) -> None:
    """Say in a work what it made or changed, where the request's address does not: the object's own address and team,
    and what is worth keeping of it. Never a secret."""
    session.info[ABOUT] = {"path": path, "team": team, "change": change}


def leave_out(session: Session) -> None:
    """Say in a work that it has changed nothing: there is no entry of it then."""
    session.info[LEFT_OUT] = True


def team_of(session: Session, deed: Deed) -> str | None:
    """Whose object a request is about, asked before it is carried out: what it removes has no team afterwards."""
    if (named := deed.team or deed.parameters.get("team")) is not None:
        return named
    run = session.get(Run, deed.parameters.get("run_id", ""))
    endpoint = session.get(Endpoint, deed.parameters.get("endpoint_id", ""))
    origin_id = next((deed.parameters[name] for name in ORIGINS if name in deed.parameters), "")
    origin = session.get(Origin, origin_id)
    return next((one.team for one in (run, endpoint, origin) if one is not None), None)


def enter(session: Session, deed: Deed, team: str | None, now: datetime) -> None:
    """Add the entry of what this transaction has done, unless that is nothing. The events that it told of are its
    changes."""
    if LEFT_OUT in session.info:
        return
    told = session.info.get(ABOUT, {})
    changes = [_change(event.type, event.subject, event.data) for event in events.of_this_transaction(session)]
    if told.get("change"):
        changes.insert(0, told["change"])
    whose = [team, told.get("team"), *(event.team for event in events.of_this_transaction(session))]
    entry = rows.new(
        AuditEntry,
        id=new_id("aud", now),
        at=now,
        actor=deed.actor,
        role=deed.role,
        via=deed.via,
        key_id=deed.key_id,
        address=deed.address,
        user_agent=deed.user_agent,
        action=deed.action,
        object=told.get("path", deed.path),
        team=next((one for one in whose if one is not None), None),
        changes=changes,
    )
    rows.insert(session, [entry])


def page(session: Session, narrowed: Narrowed, after: str | None, limit: int) -> list[AuditEntry]:
    """Entries, newest first."""
    query = select(AuditEntry).order_by(col(AuditEntry.id).desc()).limit(limit)
    for column, value in ((AuditEntry.team, narrowed.team), (AuditEntry.actor, narrowed.actor)):
        if value is not None:
            query = query.where(column == value)
    if narrowed.object is not None:
        below = narrowed.object.rstrip("/") + "/"
        is_below = col(AuditEntry.object).startswith(below, autoescape=True)
        query = query.where((col(AuditEntry.object) == narrowed.object) | is_below)
    if narrowed.since is not None:
        query = query.where(col(AuditEntry.at) >= narrowed.since)
    if narrowed.until is not None:
        query = query.where(col(AuditEntry.at) < narrowed.until)
    return list(session.exec(query if after is None else query.where(AuditEntry.id < after)))


def every(session: Session, narrowed: Narrowed) -> Iterator[AuditEntry]:
    """All of them, newest first, read in portions."""
    after = None
    while rows := page(session, narrowed, after, PORTION):
        yield from rows
        after = rows[-1].id


def _change(event_type: str, subject: str, data: Mapping[str, Any]) -> dict[str, Any]:
    # a run's `after` without a `before` is what it comes after
    told = ("before", "after") if "before" in data else ()
    kept = {name: data[name] for name in (*told, "amount_usd", "comment") if name in data}
    return {"event": event_type, "subject": data.get("budget", subject), **kept}
