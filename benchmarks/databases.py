"""Databases to measure on: a file, or one of a throw-away PostgreSQL. All are gone afterwards."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from service.migrate import migrate
from tests.postgres import Cluster

PREFIX = "tunegate-benchmark-"


@contextmanager
def database(on_postgres: bool, *, durable: bool = False) -> Iterator[tuple[Path, str]]:
    """A folder for an installation, and the address of its database. PostgreSQL waits for the disk if it is `durable`;
    SQLite always does."""
    with (
        tempfile.TemporaryDirectory(prefix=PREFIX) as name,
        Cluster(durable) if on_postgres else nullcontext() as cluster,
    ):
        folder = Path(name)
        yield folder, f"sqlite:///{folder / 'tunegate.db'}" if cluster is None else cluster.create("benchmark")


@contextmanager
def databases(on_postgres: bool) -> Iterator[Callable[[str], str]]:
    """Makes a fresh, migrated database for each name."""
    if on_postgres:
        with Cluster() as cluster:
            yield lambda name: _migrated(cluster.create(name))
    else:
        with tempfile.TemporaryDirectory(prefix=PREFIX) as folder:
            yield lambda name: _migrated(f"sqlite:///{Path(folder) / name / 'tunegate.db'}")


def _migrated(url: str) -> str:
    migrate(url)
    return url
