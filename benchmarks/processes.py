"""Processes that are measured: started, asked for their memory and CPU time (Linux), and ended."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2

from service.cli.demo_parts import free_port

READY_SECONDS = 60
TICKS = os.sysconf("SC_CLK_TCK")


@contextmanager
def bare() -> Iterator[int]:
    """The bare FastAPI of `benchmarks.bare`; its port."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.bare", str(port)])
    try:
        until_answered(f"http://127.0.0.1:{port}/none")
        yield port
    finally:
        process.terminate()
        process.wait(20)


def until_answered(url: str) -> None:
    """Wait until somebody answers there, whatever the answer."""
    stops_at = time.monotonic() + READY_SECONDS
    while time.monotonic() < stops_at:
        try:
            httpx2.get(url, trust_env=False)
        except httpx2.TransportError:
            time.sleep(0.02)
        else:
            return
    raise TimeoutError(f"nobody answers at {url}")


def rss_mib(pid: int) -> float:
    """Memory that a process holds at present."""
    return int(_status(pid, "VmRSS:").split()[0]) / 1024


def cpu_seconds(pid: int) -> float:
    """What a process has used of the cores so far, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _status(pid: int, name: str) -> str:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name):
            return line.removeprefix(name).strip()
    raise LookupError(name)
