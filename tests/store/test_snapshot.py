"""A backup of the database as it is, on SQLite and on PostgreSQL, by the real programs."""

from __future__ import annotations

import shutil
import subprocess
from functools import partial
from pathlib import Path

import pytest

from service.cli.snapshot import NoBackup, copy_postgres, copy_sqlite, without_password
from service.store import teams
from service.store.db import Database
from tests.conftest import Clock
from tests.postgres import Cluster


def test_a_copy_has_what_was_committed(
    db: Database, clock: Clock, cluster: Cluster | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    db.write(partial(teams.insert, name="research", now=clock.now))
    url = db.engine.url.render_as_string(hide_password=False)
    copy = copy_sqlite if cluster is None else copy_postgres
    with copy(url, tmp_path) as (_, made, _owner):
        assert made.stat().st_mode & 0o077 == 0 or made.parent.stat().st_mode & 0o077 == 0
        if cluster is None:
            restored = f"sqlite:///{shutil.copy(made, tmp_path / 'restored.db')}"
        else:
            restored = cluster.create("restored")
            address, _ = without_password(restored)
            subprocess.run(["pg_restore", "--no-owner", f"--dbname={address}", str(made)], check=True)
    assert not made.exists()
    other = Database(restored)
    with other.read() as session:
        assert teams.get(session, "research") is not None
    other.close()
    if cluster is not None:
        with pytest.raises(NoBackup, match="pg_dump"), copy_postgres(url + "_none", tmp_path):
            pass
        monkeypatch.setenv("PATH", "")
        with pytest.raises(NoBackup, match="there is no pg_dump"), copy_postgres(url, tmp_path):
            pass


def test_a_password_is_on_no_command_line() -> None:
    shown, password = without_password("postgresql+psycopg://u:p%40ss@host:5433/name?sslmode=require")
    assert shown == "postgresql://u@host:5433/name?sslmode=require"
    assert password == "p@ss"
