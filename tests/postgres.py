"""A PostgreSQL cluster for the tests: made in a temporary folder, on a port of its own, gone afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import psycopg

DEBIAN = "/usr/lib/postgresql"
# A database is hundreds of small files: in memory they are copied several times faster than on a disk.
MEMORY = Path("/dev/shm")
ROOM = 2 * 1024**3
# So many copies are there at a time, each of some 10 MB.
MOST_COPIES = 20


class Cluster:
    """Started on entry, stopped and deleted on exit. PostgreSQL refuses to run as root: then another user runs it.
    Unless it is `durable`, it does not wait for the disk, nor go through its databases by itself. `in_memory`: where
    there is room for that."""

    def __init__(self, durable: bool = False, *, in_memory: bool = False) -> None:
        self._hurried = [] if durable else ["fsync", "full_page_writes", "synchronous_commit", "autovacuum"]
        self._place = _memory() if in_memory else None

    def __enter__(self) -> Cluster:
        self._user = "postgres" if os.geteuid() == 0 else None
        self._folder = Path(tempfile.mkdtemp(prefix="tunegate-postgres-", dir=self._place))
        if self._user is not None:
            owner = pwd.getpwnam(self._user)
            os.chown(self._folder, owner.pw_uid, owner.pw_gid)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self._port = listener.getsockname()[1]
        self._run("initdb", "-D", str(self._folder / "data"), "-U", "tunegate", "--auth=trust", "-N")
        off = "".join(f" -c {name}=off" for name in self._hurried)
        options = f"-p {self._port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={off}"
        self._run(
            "pg_ctl", "-D", str(self._folder / "data"), "-l", str(self._folder / "log"), "-o", options, "-w", "start"
        )
        self._copies = 0
        self._admin = psycopg.connect(self._url("postgres"), autocommit=True)
        # files are copied as they are, where PostgreSQL (from 15 on) would write each page to its log
        self._how = "STRATEGY file_copy" if self._admin.info.server_version >= 150_000 else ""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._admin.close()
        self._run("pg_ctl", "-D", str(self._folder / "data"), "-m", "immediate", "-w", "stop")
        shutil.rmtree(self._folder)

    def create(self, name: str, template: str = "template0") -> str:
        """A new database; its URL."""
        self._admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" {self._how}'.encode())
        return self._url(name)

    def copy(self, template: str) -> str:
        """A copy of a database; its URL. One that was made long before goes, unless somebody is connected to it."""
        self._copies += 1
        with suppress(psycopg.errors.ObjectInUse):
            self._admin.execute(f'DROP DATABASE IF EXISTS "test_{self._copies - MOST_COPIES}"'.encode())
        return self.create(f"test_{self._copies}", template)

    def _url(self, name: str) -> str:
        return f"postgresql://tunegate@127.0.0.1:{self._port}/{name}"

    def _run(self, program: str, *arguments: str) -> None:
        path = shutil.which(program) or _newest(program)
        subprocess.run([path, *arguments], check=True, user=self._user, stdout=subprocess.DEVNULL, cwd=self._folder)


def _memory() -> Path | None:
    """Where files are held in memory; None where that is too small, as in most containers."""
    has_room = os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM
    return MEMORY if has_room else None


def _newest(program: str) -> str:
    found = sorted(Path(DEBIAN).glob(f"*/bin/{program}"))
    if not found:
        raise FileNotFoundError(f"{program} is not installed (Debian: apt-get install postgresql)")
    return str(found[-1])
