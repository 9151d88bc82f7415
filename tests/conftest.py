"""Fixtures that every suite shares: a migrated database (SQLite, or PostgreSQL with --postgres) and a clock to turn."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy import Dialect, Engine

import service.hub  # noqa: F401 - before huggingface_hub, which reads its settings when it is imported
from service import log
from service.migrate import migrate
from service.store.db import Database
from tests.postgres import Cluster
from tests.served import served

__all__ = ["served"]

# Every line is made, and none shown: a log call that fails is a failing test.
LOG = Path(os.devnull).open("w")  # noqa: SIM115 - open as long as the tests run
log.configure("DEBUG", LOG)

# A property holds on a slow or busy machine as well: no example has to be done in time.
settings.register_profile(
    "any machine", parent=settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--postgres", action="store_true", help="run the database's tests on PostgreSQL instead of SQLite")


@dataclass
class Clock:
    """A clock that stands still until a test turns it."""

    now: datetime = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def turn(self, **span: float) -> datetime:
        """Move on by a timedelta's arguments."""
        self.now += timedelta(**span)
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster | None]:
    if not request.config.getoption("--postgres"):
        yield None
        return
    with Cluster() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def template(cluster: Cluster | None, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database with every migration done, once; each test gets a copy."""
    url = f"sqlite:///{tmp_path_factory.mktemp('template') / 'template.db'}"
    if cluster is not None:
        url = cluster.create("template_migrated")
    migrate(url)
    return url


@pytest.fixture
def database_url(cluster: Cluster | None, template: str, tmp_path: Path) -> str:
    """An empty, migrated database of the test's own."""
    if cluster is not None:
        return cluster.copy("template_migrated")
    path = tmp_path / "data" / "tunegate.db"
    path.parent.mkdir()
    shutil.copy(template.removeprefix("sqlite:///"), path)
    return f"sqlite:///{path}"


# What SQLAlchemy has made of each statement, and the dialect that it is kept by. Each test has an engine of its own,
# and compiling all of them for each anew is a good part of a short test's time.
COMPILED: dict[Any, Any] = {}
DIALECTS: dict[str, Dialect] = {}


def share_compiled(engine: Engine) -> None:
    """Let an engine use what earlier ones of its kind have compiled."""
    with engine.connect():  # a dialect finds out at the first connection what its database can do
        engine.dialect = DIALECTS.setdefault(engine.dialect.name, engine.dialect)
    engine.update_execution_options(compiled_cache=COMPILED)


@pytest.fixture
def db(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    if database.is_sqlite:
        share_compiled(database.engine)
    yield database
    database.close()
