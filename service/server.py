"""The HTTP server of one process: uvicorn, with the bounds that it does not have by itself."""

from __future__ import annotations

import socket
from collections.abc import Sequence

import uvicorn
from fastapi import FastAPI

from service.api.connections import PatientProtocol

# Streams of logs and events end with their readers; at a stop they are given so long.
STREAMS_SECONDS = 3
# Between two requests on one connection.
IDLE_SECONDS = 5


def config(app: FastAPI, host: str, port: int, trusted_proxies: Sequence[str] = ()) -> uvicorn.Config:
    """What uvicorn runs. Whom a request comes from is told by the connection alone, or by proxies that are trusted."""
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=PatientProtocol,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=STREAMS_SECONDS,
        proxy_headers=bool(trusted_proxies),
        forwarded_allow_ips=list(trusted_proxies),
    )


def run(configured: uvicorn.Config, listener: socket.socket) -> None:
    """Answer until a signal ends it."""
    uvicorn.Server(configured).run(sockets=[listener])
