"""Runs the commands of jobs as real subprocesses and tells the core what becomes of them.

Everything happens in one event loop, the one that also serves requests, so the core needs no lock.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import IO

from service.sandbox import processes
from service.sandbox.core import Sandbox
from service.sandbox.job_folder import Workshop, make_folder, remove_folder, variables
from service.sandbox.jobs import Job
from service.sandbox.log_lines import LogLines
from service.sandbox.mounts import CannotMountError, Mount, mount, with_folders, without_folders

PACE_SECONDS = 0.05
GRACE_SECONDS = 5.0  # between SIGTERM and SIGKILL
CHUNK = 64 * 1024


class Executor:
    """Starts what may start, stops what must stop. `clock` gives aware UTC."""

    def __init__(self, core: Sandbox, workshop: Workshop, clock: Callable[[], datetime]) -> None:
        self._core = core
        self._workshop = workshop
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = asyncio.Event()
        self._measured: dict[str, tuple[float, tuple[float, int]]] = {}

    async def run(self) -> None:
        """Serve until cancelled."""
        while True:
            self._core.tick(self._clock())
            for job in self._core.take_startable(self._clock()):
                task = asyncio.create_task(self._execute(job))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            await asyncio.sleep(PACE_SECONDS)

    async def close(self) -> None:
        """Kill every running job and wait until nothing of them is left."""
        self._closing.set()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def measure(self, job: Job) -> None:
        """Record what a running job uses, on average since it was last measured."""
        now, reading = asyncio.get_running_loop().time(), processes.cpu_and_memory(job.id)
        before, first = self._measured.get(job.id, (now, reading))
        self._measured[job.id] = (now, reading)
        self._core.record_usage(job.id, processes.usage_between(first, reading, now - before))

    async def _execute(self, job: Job) -> None:
        """Run one command from start to end; its exit is reported whatever goes wrong here."""
        exit_code, folder = 1, None
        try:
            folder = await asyncio.to_thread(make_folder, job, self._workshop)
            mounts = await asyncio.to_thread(mount, job.spec.volumes, folder, self._core.hub)
            for one in mounts:
                self._log(job, f"sandbox: {one.path} is {one.told}")
            exit_code = await self._run(job, folder, mounts)
        except CannotMountError as error:
            self._log(job, f"sandbox: cannot mount: {error}")
        except (OSError, ValueError) as error:
            # as a container's runtime says it: 127 no such command, 126 cannot be executed
            exit_code = 127 if isinstance(error, FileNotFoundError) else 126
            reason = error.strerror if isinstance(error, OSError) else error
            self._log(job, f"sandbox: cannot start {job.spec.command[0]}: {reason}")
        finally:
            self._measured.pop(job.id, None)
            if folder and not self._workshop.keep:
                await asyncio.to_thread(remove_folder, folder)
            self._core.exited(job, exit_code, self._clock())

    async def _run(self, job: Job, folder: Path, mounts: Sequence[Mount]) -> int:
        spec = with_folders(job.spec, mounts)
        # a pipe of our own: asyncio's would keep wait() waiting for every descendant that holds its end
        output, inlet = os.pipe()
        with open(output, "rb", buffering=0) as pipe:
            try:
                process = await asyncio.create_subprocess_exec(
                    *spec.command,
                    *spec.arguments,
                    cwd=folder / "work",
                    env=variables(job.id, spec, folder, self._workshop),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=inlet,
                    stderr=asyncio.subprocess.STDOUT,
                    start_new_session=True,
                )
            finally:
                os.close(inlet)
            reader = asyncio.create_task(self._read(job, pipe, mounts))
            stopper = asyncio.create_task(self._stop_when_told(job, process.pid))
            try:
                exit_code = await process.wait()
            finally:
                stopper.cancel()
                # the end of a container's first process is the end of all others
                await asyncio.to_thread(processes.end_group, process.pid, job.id)
                _, unfinished = await asyncio.wait([reader, stopper], timeout=GRACE_SECONDS)
                for task in unfinished:
                    task.cancel()
        return exit_code if exit_code >= 0 else 128 - exit_code

    async def _read(self, job: Job, pipe: IO[bytes], mounts: Sequence[Mount]) -> None:
        """Log everything that comes out of a pipe, until its last writer is gone."""
        stream, lines = asyncio.StreamReader(), LogLines()
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stream), pipe)
        try:
            while piece := await stream.read(CHUNK):
                for line in lines.feed(piece):
                    self._log(job, without_folders(line, mounts))
                await asyncio.sleep(0)  # a flood of output must not keep requests waiting
            for line in lines.flush():
                self._log(job, without_folders(line, mounts))
        finally:
            transport.close()

    async def _stop_when_told(self, job: Job, pid: int) -> None:
        while not (self._closing.is_set() or self._core.must_stop(job)):
            await asyncio.sleep(PACE_SECONDS)
        if not self._closing.is_set():
            processes.signal_group(pid, signal.SIGTERM)
            for _ in range(int(GRACE_SECONDS / PACE_SECONDS)):
                if self._closing.is_set():
                    break
                await asyncio.sleep(PACE_SECONDS)
        processes.signal_group(pid, signal.SIGKILL)

    def _log(self, job: Job, line: str) -> None:
        self._core.append_log(job.id, line, self._clock())
