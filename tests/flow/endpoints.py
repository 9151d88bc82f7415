"""Endpoints in a world's database, and what became of their deliveries."""

from __future__ import annotations

from typing import Any

from sqlmodel import Session, select

from service.domain.endpoint import Kind, shown
from service.flow import notify
from service.store import webhooks
from service.store.ids import new_id
from service.store.sealed_address import Address, seal
from service.store.tables import Delivery, Endpoint
from tests.flow.conftest import World

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def subscribe(
    world: World,
    url: str,
    team: str | None = "research",
    events: tuple[str, ...] = ("run.*",),
    kind: Kind = Kind.STANDARD,
    **fields: Any,
) -> str:
    """An endpoint, as the API makes it but for its checks; its id."""
    endpoint = Endpoint(
        id=new_id("ep", world.clock.now),
        team=team,
        kind=kind.value,
        url=shown(kind, url),
        events=list(events),
        sealed_address=seal(world.gate.vault, Address(url, SECRET if kind.is_signed else None)),
        created_at=world.clock.now,
        **fields,
    )
    endpoint_id = endpoint.id
    world.db.write(lambda session: session.add(endpoint))
    return endpoint_id


def change(world: World, endpoint_id: str, work: Any) -> Any:
    """Do something with an endpoint that is held."""

    def held(session: Session) -> Any:
        return work(session, webhooks.lock(session, endpoint_id))

    return world.db.write(held)


def endpoint_of(world: World, endpoint_id: str) -> Endpoint:
    with world.db.read() as session:
        found = webhooks.get(session, endpoint_id)
    assert found is not None
    return found


def send_all(world: World) -> None:
    while notify.run_once(world.gate):
        pass


def deliveries(world: World, endpoint_id: str | None = None) -> list[Delivery]:
    query = select(Delivery).order_by(Delivery.id)
    with world.db.read() as session:
        return list(session.exec(query if endpoint_id is None else query.where(Delivery.endpoint_id == endpoint_id)))
