"""A proxy that breaks off log streams after some bytes, as proxies with a time limit do; every other request passes."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
from types import TracebackType

BUFFER = 4096


class CuttingProxy:
    """In front of one server on loopback. Two streams of three break off after up to `most_bytes`, amid a line mostly;
    `cuts` counts them."""

    def __init__(self, upstream: str, most_bytes: int, seed: int = 0) -> None:
        host, _, port = upstream.removeprefix("http://").partition(":")
        self._upstream = (host, int(port))
        self._most_bytes = most_bytes
        self._dice = random.Random(seed)
        self._streams = 0
        self.cuts = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._closing = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> CuttingProxy:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._listener.close()

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError), socket.create_connection(self._upstream) as server:
            first = client.recv(BUFFER)
            server.sendall(first)
            # streams have connections of their own, and the first request on one may have been for the metrics
            is_stream = first.split(b"\r\n", 1)[0].split()[1].partition(b"?")[0].endswith((b"/logs", b"/metrics"))
            self._streams += is_stream
            left = self._dice.randrange(1, self._most_bytes) if is_stream and self._streams % 3 else None
            up = threading.Thread(target=_pump, args=(client, server), daemon=True)
            up.start()
            while data := server.recv(BUFFER):
                client.sendall(data if left is None else data[:left])
                if left is not None and (left := left - len(data)) <= 0:
                    self.cuts += 1
                    client.shutdown(socket.SHUT_RDWR)  # closing is not enough while it is read from
                    return


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(BUFFER):
            target.sendall(data)
