"""Whose database it is: one id beside it and in it, on one machine or on several."""

from __future__ import annotations

import threading
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from sqlmodel import select

from service.store.db import Database
from service.store.home import ForeignDatabase, Home, WrongKey, claim, move_in, owner_of
from service.store.tables import Installation
from tests.conftest import Clock


def start(db: Database, home: Home, clock: Clock) -> str:
    installation, _ = db.write(partial(move_in, home=home, now=clock.now))
    return installation


def test_a_database_that_was_never_used_starts_by_itself_and_goes_on_in_its_folder(
    db: Database, clock: Clock, tmp_path: Path
) -> None:
    here = Home(tmp_path / "here")
    made = start(db, here, clock)
    assert start(db, here, clock) == made
    assert here.installation == made


def test_a_folder_that_says_nothing_is_no_consent(db: Database, clock: Clock, tmp_path: Path) -> None:
    here = Home(tmp_path / "here", key_setting="k")
    made = start(db, here, clock)
    bare = Home(tmp_path / "bare", key_setting="k")
    with pytest.raises(ForeignDatabase, match="tunegate claim"):
        start(db, bare, clock)
    assert bare.installation is None
    with db.read() as session:
        owner = owner_of(session)
    assert owner is not None
    claim(bare, owner)
    assert start(db, bare, clock) == made


def test_replicas_without_a_common_folder_are_told_the_id_and_the_key(
    db: Database, clock: Clock, tmp_path: Path
) -> None:
    first = Home(tmp_path / "a", "acme-prod", "k")
    second = Home(tmp_path / "b", "acme-prod", "k")
    assert start(db, first, clock) == start(db, second, clock) == "acme-prod"
    assert not (tmp_path / "a").exists()
    with pytest.raises(ForeignDatabase, match="TUNEGATE_INSTALLATION"):
        start(db, replace(second, installation_setting="acme-test"), clock)
    with pytest.raises(WrongKey, match="TUNEGATE_SECRET_KEY"):
        start(db, replace(second, key_setting="another"), clock)
    with pytest.raises(WrongKey, match="there is no"):
        start(db, replace(second, key_setting=None), clock)


def test_two_replicas_that_start_at_once_on_an_empty_database_agree(
    db: Database, database_url: str, clock: Clock, tmp_path: Path
) -> None:
    other = Database(database_url)
    here = Home(tmp_path / "shared")
    found: list[str] = []
    threads = [threading.Thread(target=lambda one=one: found.append(start(one, here, clock))) for one in (db, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    other.close()
    with db.read() as session:
        [owner] = session.exec(select(Installation)).all()
    assert found == [owner.id, owner.id]


def test_an_empty_key_file_is_no_key(db: Database, clock: Clock, tmp_path: Path) -> None:
    (tmp_path / "secret.key").write_text("\n")
    with pytest.raises(ValueError, match="is empty"):
        start(db, Home(tmp_path), clock)
