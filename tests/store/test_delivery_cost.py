"""What `notify` asks in each turn does not grow with the letters that a dead endpoint has not taken."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import insert
from sqlmodel import Session

from service.store import deliveries
from service.store.db import Database
from service.store.tables import Delivery, Endpoint, Event
from tests.conftest import Clock
from tests.store.test_queue_cost import measure

LETTERS = 5_000


def fill(session: Session, now: datetime, endpoint_id: str, letters: int) -> None:
    session.add(Endpoint(id=endpoint_id, url="u", events=["run.*"], sealed_address=b"", created_at=now))
    session.flush()
    named = [(f"{endpoint_id}_{number:06}", number) for number in range(letters)]
    event = {"sequence": 1, "team": None, "type": "run.queued", "timestamp": now, "data": {}}
    session.execute(insert(Event), [{"id": f"evt_{name}", "subject": f"run_{name}", **event} for name, _ in named])
    delivery = {"endpoint_id": endpoint_id, "sequence": 1, "state": "pending", "next_try_at": now, "created_at": now}
    session.execute(
        insert(Delivery),
        [
            {"id": f"dlv_{name}", "event_id": f"evt_{name}", "subject": f"run_{name}", "tries": 0, **delivery}
            for name, _ in named
        ],
    )


def one_turn(session: Session, now: datetime) -> int:
    ids = [endpoint_id for endpoint_id, *_ in deliveries.waiting(session, now)]
    return len(deliveries.due(session, now, ids, 5, ["dlv_ep_well_000000"]))


def test_a_backlog_costs_nothing_beside_it(db: Database, clock: Clock) -> None:
    db.write(lambda session: fill(session, clock.now, "ep_well", 20))
    db.write(lambda session: fill(session, clock.now, "ep_dead", 20))
    before = measure(db, clock.now, one_turn)
    assert before.admitted == 10  # five of each
    db.write(lambda session: fill(session, clock.now, "ep_long_dead", LETTERS))
    after = measure(db, clock.now, one_turn)
    assert after.admitted == 15
    if db.is_sqlite:  # instructions of its machine
        assert after.work < before.work * 2
