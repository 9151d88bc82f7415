"""A server in the place of Hugging Face that means no good, over real HTTP."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import BinaryIO


@dataclass(frozen=True)
class Asked:
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def __str__(self) -> str:
        return f"{self.method} {self.path} {self.headers} {self.body.decode(errors='replace')}"


@dataclass(frozen=True)
class Said:
    """One answer; `write` gives a body that goes on, until it returns or the connection breaks."""

    status: int = 200
    body: bytes = b"[]"
    headers: tuple[tuple[str, str], ...] = ()
    write: Callable[[BinaryIO], None] | None = None


class Hostile:
    """`answer` says what is answered; every request is kept."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.asked: list[Asked] = []
        self.answer: Callable[[Asked], Said] = lambda _asked: Said()
        self.is_over = threading.Event()

    @property
    def text(self) -> str:
        """All that was ever sent here."""
        return "\n".join(map(str, self.asked))


@contextmanager
def hostile() -> Iterator[Hostile]:
    """One on a port of its own."""

    class Handler(BaseHTTPRequestHandler):
        def handle_one(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            asked = Asked(self.command, self.path, {name.lower(): one for name, one in self.headers.items()}, body)
            there.asked.append(asked)
            said = there.answer(asked)
            self.send_response(said.status)
            for name, value in said.headers:
                self.send_header(name, value)
            if said.write is None:
                self.send_header("content-length", str(len(said.body)))
            self.end_headers()
            try:
                if said.write is None:
                    self.wfile.write(said.body)
                else:
                    said.write(self.wfile)
            except OSError:
                self.close_connection = True

        do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_CONNECT = handle_one

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    there = Hostile(server.server_port)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield there
    finally:
        there.is_over.set()
        server.shutdown()
        thread.join()
        server.server_close()
