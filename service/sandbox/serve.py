"""Starts a sandbox: in the foreground for people (`run`), in a thread for tests and demos (`SandboxServer`)."""

from __future__ import annotations

import secrets
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import uvicorn
from starlette.middleware.trustedhost import TrustedHostMiddleware

from service.sandbox import library
from service.sandbox.accounts import TOKENS, Token
from service.sandbox.core import Sandbox
from service.sandbox.defaults import DEFAULT_RUN_SECONDS, MAX_RUNNING, PAGE_SIZE
from service.sandbox.executor import Executor
from service.sandbox.faults import Faults
from service.sandbox.job_folder import Workshop
from service.sandbox.shell import Protocol, Shell, utc_now

LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Options:
    """How to run a sandbox. `port` 0 takes a free one; the rest is explained at Sandbox, Workshop and Faults.

    `hosts` are names beside loopback's under which the server may be called: it runs whatever it is sent, so a web page
    must not reach it through a name of its own.
    """

    host: str = "127.0.0.1"
    port: int = 0
    hosts: tuple[str, ...] = ()
    execute: bool = True
    run_seconds: float = DEFAULT_RUN_SECONDS
    max_running: int = MAX_RUNNING
    page_size: int = PAGE_SIZE
    faults: Faults = field(default_factory=Faults)
    folder: Path | None = None
    url_map: tuple[tuple[str, str], ...] = ()
    python_env: Path | None = None
    keep: bool = False
    library: bool = True
    log_level: str = "warning"


def run(options: Options, announce: Callable[[str], None]) -> None:
    """Serve until interrupted; `announce` gets the text that tells a user how to begin. Raises OSError: port taken."""
    listener = _listen(options)
    announce(greeting(_url(listener)))
    _server(options, listener, _core(options)).run(sockets=[listener])


class SandboxServer:
    """A sandbox on a free port in a thread: `with SandboxServer(Options(…)) as server: server.url`.

    On exit the server has stopped and every job's processes are gone.
    """

    def __init__(self, options: Options | None = None) -> None:
        self._options = options or Options()
        self.core = _core(self._options)

    def __enter__(self) -> SandboxServer:
        listener = _listen(self._options)
        self.url = _url(listener)
        self._server = _server(self._options, listener, self.core)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [listener]}, name="sandbox")
        # the socket listens already: a first request waits in its queue until the loop turns
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join()


class Server(uvicorn.Server):
    """uvicorn's server that ends open log streams before it waits for connections to close."""

    def __init__(self, config: uvicorn.Config, shell: Shell) -> None:
        super().__init__(config)
        self._shell = shell

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams, then shut down as uvicorn does."""
        self._shell.close_streams()
        await super().shutdown(sockets)


def greeting(url: str, tokens: tuple[Token, ...] = TOKENS) -> str:
    """What a user needs to begin: the URL, the tokens with their rights, the commands to try."""
    lines = [f"The sandbox speaks the Hugging Face protocol at {url}", "", "Tokens:"]
    for token in tokens:
        rights = ", ".join((*token.permissions, *token.own)) if token.role == "fineGrained" else f"role {token.role}"
        credit = "" if token.user.has_credit else "; out of credit: every job is refused with 402"
        owner = " + ".join(token.scopes or token.user.namespaces)
        lines.append(f"  {token.value:<18} {owner:<19} {rights}{credit}")
    return "\n".join(
        [
            *lines,
            "",
            "Point the hf command at it:",
            f"  export HF_ENDPOINT={url} HF_TOKEN={tokens[0].value}",
            "  hf auth whoami",
            "  hf jobs run python:3.12 python -c 'print(2 + 2)'",
            "",
            f"Faults: curl {url}/sandbox/faults",
            "Jobs run as subprocesses of this server, with its rights: run nothing here that you would not run.",
        ]
    )


def _core(options: Options) -> Sandbox:
    core = Sandbox(
        faults=options.faults,
        execute=options.execute,
        run_seconds=options.run_seconds,
        max_running=options.max_running,
        page_size=options.page_size,
        # what is left of a job is found by its id: two sandboxes on one machine must not give the same
        seed=secrets.randbits(40),
        folder=options.folder,
        keep=options.keep,
    )
    if options.library:
        library.fill(core.hub, utc_now())
    return core


def _listen(options: Options) -> socket.socket:
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    listener = socket.create_server((options.host, options.port), family=family, backlog=2048)
    # asyncio sets this on sockets that it makes itself; without it, every answer waits 40 ms for the client's ACK
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _server(options: Options, listener: socket.socket, core: Sandbox) -> Server:
    url = _url(listener).replace("0.0.0.0", "127.0.0.1").replace("[::]", "[::1]")  # noqa: S104 - jobs call back here
    workshop = Workshop(url, options.folder, options.url_map, options.python_env, options.keep)
    executor = Executor(core, workshop, utc_now) if options.execute else None
    shell = Shell(core, executor)
    config = uvicorn.Config(
        TrustedHostMiddleware(shell, allowed_hosts=[*LOOPBACK, options.host, *options.hosts], www_redirect=False),
        http=Protocol,
        loop="asyncio",  # uvloop runs subprocesses in the main thread only
        ws="none",
        lifespan="on",
        log_level=options.log_level,
        access_log=options.log_level in ("info", "debug"),
        server_header=False,
        date_header=False,  # the shell's
        timeout_graceful_shutdown=10,
    )
    return Server(config, shell)
