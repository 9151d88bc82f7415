"""Webhook endpoints: a team's, an admin's, and those of single runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Update
from sqlmodel import Session, col, delete, select, update

from service.domain.endpoint import EndpointSpec, shown, without_query
from service.domain.moment import iso
from service.store import events
from service.store.ids import new_id
from service.store.sealed_address import Address, seal
from service.store.tables import Delivery, Endpoint, Run
from service.store.vault import Vault

DISABLED = "endpoint.disabled"
# Out of the way of what is looked for: nothing is due of an endpoint that is disabled.
NEVER = datetime(9999, 1, 1, tzinfo=UTC)


def insert(
    session: Session,
    spec: EndpointSpec,
    secret: str | None,
    vault: Vault,
    now: datetime,
    *,
    team: str | None,
    run_id: str | None = None,
    description: str | None = None,
) -> Endpoint:
    """A new endpoint, of a team (None: an admin's), or of one of its runs."""
    endpoint = Endpoint(
        id=new_id("ep", now),
        team=team,
        run_id=run_id,
        kind=spec.kind.value,
        url=shown(spec.kind, spec.url),
        description=description,
        events=spec.wanted(of_run=run_id is not None),
        sealed_address=seal(vault, Address(spec.url, secret)),
        created_at=now,
    )
    session.add(endpoint)
    session.flush()
    return endpoint


def get(session: Session, endpoint_id: str) -> Endpoint | None:
    """One endpoint."""
    return session.get(Endpoint, endpoint_id)


def lock(session: Session, endpoint_id: str) -> Endpoint | None:
    """One endpoint as it stands now, held for a change. Who changes its deliveries too holds it before them."""
    return session.get(Endpoint, endpoint_id, with_for_update=True, populate_existing=True)


def lock_all(session: Session, endpoint_ids: Collection[str]) -> dict[str, Endpoint]:
    """Those of these endpoints that there are, as `lock` has one, by id."""
    query = select(Endpoint).where(col(Endpoint.id).in_(endpoint_ids)).order_by(col(Endpoint.id))
    held = query.with_for_update().execution_options(populate_existing=True)
    return {endpoint.id: endpoint for endpoint in session.exec(held)}


def page(session: Session, team: str | None, run_id: str | None, after: str | None, limit: int) -> list[Endpoint]:
    """Endpoints of a team (of all teams where None), newest first: those of no single run, or those of this one."""
    query = select(Endpoint).where(Endpoint.run_id == run_id).order_by(col(Endpoint.id).desc()).limit(limit)
    if team is not None:
        query = query.where(Endpoint.team == team)
    if after is not None:
        query = query.where(Endpoint.id < after)
    return list(session.exec(query))


def of_runs(session: Session, run_ids: Collection[str]) -> dict[str, list[dict[str, Any]]]:
    """What the objects of these runs tell of their own endpoints: no secret, and no query, which may hold one."""
    told: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for endpoint in of_run(session, run_ids):
        told[str(endpoint.run_id)].append(
            {
                "id": endpoint.id,
                "kind": endpoint.kind,
                "url": without_query(endpoint.url),
                "events": endpoint.events,
                "disabled_at": None if endpoint.disabled_at is None else iso(endpoint.disabled_at),
            }
        )
    return told


def of_run(session: Session, run_ids: Collection[str]) -> list[Endpoint]:
    """The endpoints of these runs' own, in the order of their making."""
    query = select(Endpoint).where(col(Endpoint.run_id).in_(run_ids)).order_by(col(Endpoint.id))
    return list(session.exec(query)) if run_ids else []


def remove(session: Session, endpoint: Endpoint) -> None:
    """Forget an endpoint and its delivery log."""
    session.exec(delete(Delivery).where(col(Delivery.endpoint_id) == endpoint.id))
    session.delete(endpoint)


def disable(session: Session, endpoint: Endpoint, because: str, last_status: int | None, now: datetime) -> None:
    """Nothing more is sent to an endpoint that the caller holds; the others of its team are told."""
    hold(session, endpoint, because, now)
    endpoint.sequence += 1
    session.flush()
    told = {
        "endpoint_id": endpoint.id,
        "team": endpoint.team,
        "run_id": endpoint.run_id,
        "kind": endpoint.kind,
        "url": without_query(endpoint.url),
        "description": endpoint.description,
        "because": because,
        "failing_since": None if endpoint.failing_since is None else iso(endpoint.failing_since),
        "last_status": last_status,
    }
    events.append(session, endpoint.id, endpoint.team, endpoint.sequence, DISABLED, told, now)


def hold(session: Session, endpoint: Endpoint, because: str, now: datetime) -> None:
    """Nothing more is sent to an endpoint that the caller holds, as somebody wants it so."""
    endpoint.disabled_at, endpoint.disabled_because = now, because
    session.add(endpoint)
    session.exec(_pending(endpoint).values(next_try_at=NEVER))


def enable(session: Session, endpoint: Endpoint, now: datetime) -> None:
    """Begin anew with an endpoint that the caller holds: what is still to come is sent now."""
    endpoint.disabled_at = endpoint.disabled_because = None
    endpoint.failing_since = endpoint.resting_until = None
    session.add(endpoint)
    session.exec(_pending(endpoint).values(tries=0, first_failed_at=None, next_try_at=now))


def _pending(endpoint: Endpoint) -> Update:
    return (
        update(Delivery)
        .where(col(Delivery.endpoint_id) == endpoint.id, col(Delivery.state) == "pending")
        .execution_options(synchronize_session=False)
    )


def forget_run_endpoints(session: Session, before: datetime, limit: int = 200) -> int:
    """Remove endpoints of runs that ended before a time, once nothing is to come for them; how many."""
    pending = (
        select(Delivery.id).where(Delivery.endpoint_id == Endpoint.id, Delivery.state == "pending").correlate(Endpoint)
    )
    gone = session.exec(
        select(Endpoint)
        .join(Run, col(Run.id) == Endpoint.run_id)
        .where(col(Endpoint.run_id).is_not(None), col(Run.finished_at) < before)
        .where(col(Endpoint.disabled_at).is_not(None) | ~pending.exists())
        .limit(limit)
    ).all()
    for endpoint in gone:
        remove(session, endpoint)
    return len(gone)
