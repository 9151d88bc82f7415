"""`tunegate migrate --from`: an installation with runs, money, keys and secrets goes on, on PostgreSQL."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlmodel import Session, SQLModel

from service.assembly import home_of
from service.migrate import ADVISORY_LOCK, migrate
from service.sandbox.serve import SandboxServer
from service.settings import Settings
from service.store import home, organisation
from service.store.db import Database
from service.store.engine import open_engine
from service.store.moving import NotMoved, move_all
from tests.cli.conftest import Command
from tests.conftest import Clock
from tests.postgres import Cluster
from tests.processes import ADMIN_KEY, Service
from tests.replicas.conftest import submit
from tools.populated import Populated, people, present


def rows_of(url: str) -> dict[str, list[Any]]:
    """Every row of every table, as Python has it."""
    engine = open_engine(url)
    with engine.connect() as connection:
        found = {
            table.name: [tuple(row) for row in connection.execute(sa.select(table).order_by(*table.primary_key))]
            for table in SQLModel.metadata.sorted_tables
        }
    engine.dispose()
    return found


def nulls_of(url: str) -> dict[str, int]:
    """By JSON column of a run, how many SQL nulls: not the same as JSON's."""
    engine, table = open_engine(url), SQLModel.metadata.tables["run"]
    columns = [column for column in table.columns if isinstance(column.type, sa.JSON)]
    with engine.connect() as connection:
        counts = [sa.select(sa.func.count()).where(sa.type_coerce(one, sa.Text).is_(None)) for one in columns]
        found = {one.name: connection.execute(count).scalar_one() for one, count in zip(columns, counts, strict=True)}
    engine.dispose()
    return found


def test_every_row_arrives_as_it_was(cluster: Cluster, tmp_path: Path, clock: Clock) -> None:
    source, target = f"sqlite:///{tmp_path / 'old.db'}", cluster.create("moved")
    migrate(source)
    db = Database(source)
    made = Populated(db, clock)
    people(made)
    present(made)
    made.world.hub.close()
    db.close()
    before = rows_of(source)
    assert sum(map(bool, before.values())) > 15
    migrate(target)
    moved = move_all(source, target, ADVISORY_LOCK, lambda _session: None)
    assert rows_of(target) == before
    assert moved.rows == {name: len(rows) for name, rows in before.items()}
    assert moved.ledger["charge"] > 0
    assert nulls_of(source) == nulls_of(target)
    with pytest.raises(NotMoved, match="not empty"):
        move_all(source, target, ADVISORY_LOCK, lambda _session: None)


def test_what_does_not_pass_the_check_leaves_nothing(cluster: Cluster, tmp_path: Path) -> None:
    source, target = f"sqlite:///{tmp_path / 'old.db'}", cluster.create("refused")
    migrate(source)
    migrate(target)
    db = Database(source)
    db.write(organisation.lock)
    db.close()

    def refuse(_session: Session) -> None:
        raise NotMoved("no")

    with pytest.raises(NotMoved, match="no"):
        move_all(source, target, ADVISORY_LOCK, refuse)
    assert not any(rows_of(target).values())


def test_a_service_goes_on_where_it_was_moved_to(cluster: Cluster, sandbox: SandboxServer, tmp_path: Path) -> None:
    old, folder = Service(tmp_path / "old", sandbox.url), tmp_path / "data"
    target = cluster.create("served")
    command = Command("http://127.0.0.1:9", ADMIN_KEY)
    command.env |= {**old.settings, "TUNEGATE_DATABASE_URL": target, "TUNEGATE_DATA_DIR": str(folder)}
    source = f"sqlite:///{tmp_path / 'old' / 'tunegate.db'}"
    with old:
        old("POST", "/teams", {"name": "research"})
        old("PUT", "/teams/research/budget", {"limit_usd": 5})
        old("PUT", "/teams/research/secrets/wandb", {"value": "the value of a secret"})
        key = old("POST", "/teams/research/keys", {"name": "ci", "role": "member"}).json()["key"]
        done = old.until_end(submit(old, "done"))
        old("POST", "/queue/pause")
        waiting = submit(old, "waiting")
        ledger = old("GET", f"/runs/{done['id']}/ledger").json()
        command("migrate", "--from", source, code=78)
        assert "stop it first" in command.err
    shutil.copytree(tmp_path / "old", tmp_path / "copy")
    told = command("migrate", "--from", source)
    assert "run: 2 rows" in told
    assert "charge $0.000167" in told
    assert not (tmp_path / "old" / "tunegate.db").exists()
    assert (folder / "secret.key").stat().st_mode & 0o777 == 0o600
    command("migrate", "--from", f"sqlite:///{tmp_path / 'copy' / 'tunegate.db'}", code=78)
    assert "not empty" in command.err

    new = Service(tmp_path / "new", sandbox.url, TUNEGATE_DATABASE_URL=target, TUNEGATE_DATA_DIR=str(folder))
    with new:
        assert new("GET", f"/runs/{done['id']}").json() == done
        assert new("GET", f"/runs/{done['id']}/ledger").json() == ledger
        assert new("GET", "/me", authorization=f"Bearer {key}").json()["team"] == "research"
        assert submit(new, "waiting") == waiting
        new("POST", "/queue/resume")
        assert new.until_end(waiting)["state"] == "succeeded"
        assert len(list(sandbox.core.jobs.newest_first())) == 2
    here = home_of(Settings(database_url=target, data_dir=folder))
    db = Database(target)
    with db.read() as session:
        owner = home.owner_of(session)
    db.close()
    assert owner is not None
    assert home.key_trouble(owner, here) is None


def test_a_database_of_another_schema_is_brought_there_first(cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "tunegate.db").touch()
    command = Command("http://127.0.0.1:9", ADMIN_KEY)
    command.env |= {"TUNEGATE_DATABASE_URL": cluster.create("other"), "TUNEGATE_DATA_DIR": str(tmp_path / "data")}
    command("migrate", "--from", f"sqlite:///{tmp_path / 'tunegate.db'}", code=78)
    assert "its schema is none" in command.err
    command("migrate", "--from", f"sqlite:///{tmp_path / 'none.db'}", code=78)
    assert "there is no database" in command.err
    command("migrate", "--from", "postgresql://elsewhere/x", code=78)
    assert "takes sqlite:///PATH" in command.err
