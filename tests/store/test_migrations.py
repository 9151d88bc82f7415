"""Migrations and tables say the same, both ways."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from sqlalchemy import inspect

from service.migrate import alembic_config, migrate
from service.store.db import open_engine
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


def test_migrating_twice_does_nothing(database_url: str) -> None:
    migrate(database_url)
    migrate(database_url)
