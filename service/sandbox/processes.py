"""The operating system's side of a job: its group of processes, signalled, ended to the last one, measured.

A command starts a session of its own, so a signal reaches the whole group. A descendant that left the group is found
by the JOB_ID in its environment (Linux, /proc); elsewhere only the group is ended.
"""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

from service.sandbox.jobs import Usage

PROC = Path("/proc")


def signal_group(pid: int, number: signal.Signals) -> None:
    """Send a signal to the group that a command leads; nothing where it is gone."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def end_group(pid: int, job_id: str) -> None:
    """Kill whatever is left of a job: its group, and descendants that left the group."""
    signal_group(pid, signal.SIGKILL)
    for other in _of_job(job_id):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(other, signal.SIGKILL)


def cpu_and_memory(job_id: str) -> tuple[float, int]:
    """Seconds of processor time used so far and bytes of memory held now by a job's living processes."""
    ticks, pages = 0, 0
    for pid in _of_job(job_id):
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])  # proc(5): utime and stime
            pages += int(fields[21])  # proc(5): rss
    return ticks / os.sysconf("SC_CLK_TCK"), pages * os.sysconf("SC_PAGE_SIZE")


def usage_between(before: tuple[float, int], after: tuple[float, int], seconds: float) -> Usage:
    """The use of the machine between two measurements so many seconds apart."""
    busy = max(0.0, after[0] - before[0]) / max(seconds, 0.001)
    return Usage(round(busy * 1000), after[1])


def _of_job(job_id: str) -> list[int]:
    marker, found = f"JOB_ID={job_id}\0".encode(), []
    for entry in PROC.glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if marker in (entry / "environ").read_bytes():
                found.append(int(entry.name))
    return found
