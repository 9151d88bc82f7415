"""TCP between a client and one of several servers, which a test may hold up: nothing passes and nothing is closed, as
on a network that drops packets."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
from collections.abc import Sequence
from types import TracebackType

BUFFER = 65536


class Forwarder:
    """On a port of its own. Each connection goes to the next of the servers in turn that takes it."""

    def __init__(self, servers: Sequence[tuple[str, int]]) -> None:
        self._servers = list(servers)
        self._turns = itertools.count()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._passing = threading.Event()
        self._passing.set()

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self._listener.getsockname()[1]
        return port

    def hold(self) -> None:
        """Let nothing pass, in either direction; connections are still taken."""
        self._passing.clear()

    def let_pass(self) -> None:
        """Everything that was held up arrives, too."""
        self._passing.set()

    def __enter__(self) -> Forwarder:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()
        self._passing.set()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client:
            self._passing.wait()
            server = self._connect()
            if server is None:
                return
            with server:
                back = threading.Thread(target=self._pump, args=(server, client), daemon=True)
                back.start()
                self._pump(client, server)
                back.join()

    def _connect(self) -> socket.socket | None:
        first = next(self._turns)
        for turn in range(len(self._servers)):
            with contextlib.suppress(OSError):
                return socket.create_connection(self._servers[(first + turn) % len(self._servers)])
        return None

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(BUFFER):
                self._passing.wait()
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)
