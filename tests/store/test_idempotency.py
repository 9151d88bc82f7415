"""A key belongs to the first request that brings it."""

from __future__ import annotations

import threading

from service.store import idempotency
from service.store.db import Database
from tests.conftest import Clock
from tests.factories import make_team


def test_of_many_at_the_same_instant_one_wins_and_all_learn_which(
    database_url: str, db: Database, clock: Clock
) -> None:
    db.write(lambda session: make_team(session, clock.now))
    others = [Database(database_url) for _ in range(3)]
    found: list[str] = []

    def claim(database: Database, run_id: str) -> None:
        key = database.write(lambda session: idempotency.claim(session, "research", "k", "hmac", run_id, clock.now))
        found.append(key.run_id)

    threads = [
        threading.Thread(target=claim, args=(database, f"run_{index}_{number}"))
        for index, database in enumerate([db, *others])
        for number in range(5)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for database in others:
        database.close()
    assert len(found) == 20
    assert len(set(found)) == 1


def test_keys_of_two_teams_are_two_keys(db: Database, clock: Clock) -> None:
    for team in ("a", "b"):
        db.write(lambda session, t=team: make_team(session, clock.now, name=t))  # type: ignore[misc]
        claimed = db.write(lambda session, t=team: idempotency.claim(session, t, "k", "h", f"run_{t}", clock.now))  # type: ignore[misc]
        assert claimed.run_id == f"run_{team}"
