"""Migrations and tables say the same, both ways."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text
from sqlalchemy.exc import OperationalError

from service.migrate import alembic_config, migrate, newest
from service.store.engine import open_engine
from tests.postgres import Cluster


def test_up_check_down_up(cluster: Cluster | None, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'fresh.db'}" if cluster is None else cluster.create("fresh")
    migrate(url)
    engine = open_engine(url)
    with engine.connect().execution_options(is_writer=True) as connection:
        command.check(alembic_config(connection))  # raises where the tables have what no migration makes
        command.downgrade(alembic_config(connection), "base")
        connection.commit()
        assert set(inspect(connection).get_table_names()) <= {"alembic_version"}
    engine.dispose()
    migrate(url)


def test_the_newest_migration_is_found_by_its_name() -> None:
    assert newest() == ScriptDirectory.from_config(alembic_config()).get_current_head()


def test_migrating_twice_does_nothing(database_url: str) -> None:
    migrate(database_url)
    migrate(database_url)


def test_a_migration_gives_way_to_whoever_uses_a_table(cluster: Cluster | None) -> None:
    if cluster is None:
        pytest.skip("a file has one writer")
    url = cluster.create("in_use")
    migrate(url)
    engine = open_engine(url)
    with engine.connect() as reader:
        reader.execute(text("DROP TABLE alembic_version"))  # as if this release were new here, and half of it there
        reader.execute(text("DROP TABLE lease"))
        with pytest.raises(OperationalError, match="lock timeout"):
            migrate(url, "head", lock_seconds=0.2)
        reader.rollback()
    engine.dispose()
    migrate(url)
