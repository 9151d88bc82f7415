"""`tunegate backup` and `restore` with PostgreSQL: by the real programs, into an empty database, with its files."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.assembly import home_of
from service.migrate import migrate
from service.settings import Settings
from service.store import home, teams
from service.store.db import Database
from tests.cli.conftest import Command
from tests.conftest import Clock
from tests.postgres import Cluster


def at(url: str, folder: Path) -> Command:
    command = Command("http://127.0.0.1:9", "tg_unused")
    command.env |= {"TUNEGATE_DATABASE_URL": url, "TUNEGATE_DATA_DIR": str(folder), "TUNEGATE_ADMIN_KEY": ""}
    return command


def owner_at(url: str, folder: Path, clock: Clock) -> str:
    """As a service starts on it: raises where it belongs to another, or its secrets cannot be opened."""
    db = Database(url)
    try:
        return db.write(
            lambda session: home.move_in(session, home_of(Settings(database_url=url, data_dir=folder)), clock.now)
        )[0]
    finally:
        db.close()


def test_a_backup_comes_back_in_an_empty_database(
    cluster: Cluster, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, folder, archive = cluster.create("kept"), tmp_path / "data", tmp_path / "backup.tar"
    migrate(url)
    owner = owner_at(url, folder, clock)
    db = Database(url)
    db.write(lambda session: teams.insert(session, "research", clock.now))
    db.close()
    assert owner in at(url, folder)("backup", str(archive))

    empty, elsewhere = cluster.create("restored"), tmp_path / "elsewhere"
    restored = at(empty, elsewhere)
    assert owner in restored("restore", str(archive))
    assert owner_at(empty, elsewhere, clock) == owner
    db = Database(empty)
    with db.read() as session:
        assert teams.get(session, "research") is not None
    db.close()
    migrate(empty)
    restored("restore", str(archive), code=78)
    assert "has tables" in restored.err
    at(f"sqlite:///{tmp_path / 'x' / 'tunegate.db'}", tmp_path / "x")("restore", str(archive), code=78)

    lost = at(url + "_none", tmp_path / "lost")
    lost("restore", str(archive), code=78)
    assert "cannot be used" in lost.err
    assert not (tmp_path / "lost" / "secret.key").exists()
    monkeypatch.setenv("PATH", "")
    restored("restore", str(archive), code=78)
    assert "there is no pg_restore on this machine" in restored.err
