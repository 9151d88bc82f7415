"""Fixtures that every suite shares: a migrated database (SQLite, or PostgreSQL with --postgres) and a clock to turn."""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from hypothesis import HealthCheck, settings
from sqlalchemy import Dialect, Engine, event

import service.hub  # noqa: F401 - before huggingface_hub, which reads its settings when it is imported
from service import log
from service.migrate import migrate
from service.store.db import Database
from tests.postgres import Cluster

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


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On PostgreSQL runs what asks for a database. All else is the same there as it was on SQLite, in `make test`."""
    if config.getoption("--postgres"):
        without = [item for item in items if "cluster" not in getattr(item, "fixturenames", ())]
        config.hook.pytest_deselected(items=without)
        items[:] = [item for item in items if item not in set(without)]


def pytest_collection() -> None:
    """What is imported and collected stays until the end: the collector would only count it, again and again."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Nor need its passes look at it while the tests run."""
    gc.freeze()
    gc.enable()


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
    with Cluster(in_memory=True) as cluster:
        yield cluster


class Templates:
    """Databases that many tests begin with, by name: each is filled once, and every test gets a copy."""

    def __init__(self, cluster: Cluster | None, folder: Path) -> None:
        self._cluster = cluster
        self._folder = folder
        self._made: dict[str, Any] = {}

    def make(self, name: str, fill: Callable[[Database], Any], like: str = "migrated") -> Any:
        """A further one: a copy of another, and what `fill` writes into it; what that returned. A fixture is made anew
        for each folder whose conftest takes it over, a template is not."""
        if name not in self._made:
            with opened(self._new(name, like)) as db:
                self._made[name] = fill(db)
        return self._made[name]

    def make_first(self) -> None:
        """`migrated`: every migration done, and empty."""
        migrate(self._new("migrated"))

    def copy(self, name: str, folder: Path) -> str:
        """A copy in `folder`, or on the cluster; its URL."""
        if self._cluster is not None:
            return self._cluster.copy(f"template_{name}")
        folder.mkdir(exist_ok=True)
        shutil.copy(self._folder / f"{name}.db", folder / "tunegate.db")
        return f"sqlite:///{folder / 'tunegate.db'}"

    def _new(self, name: str, like: str | None = None) -> str:
        if self._cluster is not None:
            return self._cluster.create(f"template_{name}", f"template_{like}" if like else "template0")
        if like:
            shutil.copy(self._folder / f"{like}.db", self._folder / f"{name}.db")
        return f"sqlite:///{self._folder / name}.db"


@pytest.fixture(scope="session")
def templates(cluster: Cluster | None, tmp_path_factory: pytest.TempPathFactory) -> Templates:
    templates = Templates(cluster, tmp_path_factory.mktemp("templates"))
    templates.make_first()
    return templates


@pytest.fixture
def database_url(templates: Templates, tmp_path: Path) -> str:
    """An empty, migrated database of the test's own."""
    return templates.copy("migrated", tmp_path / "data")


# What SQLAlchemy has made of each statement, and the dialect that it is kept by. Each test has an engine of its own,
# and compiling all of them for each anew is a good part of a short test's time.
COMPILED: dict[Any, Any] = {}
DIALECTS: dict[str, Dialect] = {}


def share_compiled(engine: Engine) -> None:
    """Let an engine use what earlier ones of its kind have compiled."""
    with engine.connect():  # a dialect finds out at the first connection what its database can do
        engine.dialect = DIALECTS.setdefault(engine.dialect.name, engine.dialect)
    engine.update_execution_options(compiled_cache=COMPILED)


def open_quickly(url: str) -> Database:
    """A database as the service opens it, which does not wait for the disk: no test takes the machine's power away."""
    database = Database(url)
    if database.is_sqlite:
        event.listen(database.engine, "connect", lambda raw, _record: raw.execute("PRAGMA synchronous=OFF"))
    share_compiled(database.engine)
    return database


@contextmanager
def opened(url: str) -> Iterator[Database]:
    """The same, and closed at the end."""
    database = open_quickly(url)
    yield database
    database.close()


@pytest.fixture
def db(database_url: str) -> Iterator[Database]:
    with opened(database_url) as database:
        yield database


@pytest.fixture(scope="session")
def portal() -> Iterator[BlockingPortal]:
    """One event loop for all tests of a process, as a service has: to begin one is a third of a short request."""
    with start_blocking_portal() as portal:
        yield portal
