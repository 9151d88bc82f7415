"""A job's server-sent events: its log, and the use of its machine.

Hugging Face replays a log from the start (or its last `tail` lines) on every connection and then holds the stream open,
so reading stops at a silence, at a time limit, or where the stream ends, as it does once the job has.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Any

import httpx2

from service.domain.log_line import LogLine
from service.domain.text import cleaned
from service.hub.bounds import OutOfTime, bound, lines
from service.hub.faults import HubRefused, connection_fault
from service.hub.models import MachineUse, use_from_json
from service.hub.paths import job_path
from service.hub.session import HubSession, check, headers

LOOKS = 3  # for a metric, among keep-alives
FINISHED = 406  # what the metrics of a job that has ended are answered with


class Until(StrEnum):
    """What a reading of a log went on until: the stream's own end, a silence, our limit, or a connection that broke."""

    END = "end"
    SILENCE = "silence"
    LIMIT = "limit"
    CUT = "cut"


class Streams:
    """Reads them with the control token."""

    def __init__(self, session: HubSession, token: str) -> None:
        self._session = session
        self._token = token

    def log(
        self,
        namespace: str,
        job_id: str,
        *,
        tail: int | None = None,
        silence_seconds: float = 5,
        max_seconds: float = 30,
        most_lines: int | None = None,
    ) -> tuple[list[LogLine], Until]:
        """A job's log lines so far, no more than `most_lines`, and why there are no more. Raises HubFault where none
        came for another reason."""
        found: list[LogLine] = []
        stops_at = time.monotonic() + max_seconds
        try:
            for line in self.follow(namespace, job_id, tail, silence_seconds=silence_seconds, stops_at=stops_at):
                found.append(line)
                if len(found) == most_lines:
                    return found, Until.LIMIT
        except OutOfTime:
            return found, Until.LIMIT
        except httpx2.ReadTimeout:
            return found, Until.SILENCE
        except httpx2.HTTPError as error:
            if found:
                return found, Until.CUT
            raise connection_fault(error) from None
        return found, Until.END

    def follow(
        self,
        namespace: str,
        job_id: str,
        tail: int | None = None,
        *,
        silence_seconds: float,
        stops_at: float | None = None,
    ) -> Iterator[LogLine]:
        """A job's log lines as they come, until the stream ends. Raises HubFault for an answer that is no stream,
        httpx2's errors where the connection breaks or says nothing for so long (keep-alives count), and OutOfTime
        where it goes on beyond `stops_at` of the monotonic clock."""
        params = {} if tail is None else {"tail": tail}
        with self._open(job_path(namespace, job_id) + "/logs", params, silence_seconds, stops_at) as events:
            yield from (line for event in events if (line := _line(event)) is not None)

    def use(self, namespace: str, job_id: str, *, silence_seconds: float = 3) -> MachineUse | None:
        """What a running job uses at this moment; None where it has ended, or does not say. Raises HubFault."""
        stops_at = time.monotonic() + LOOKS * silence_seconds
        try:
            with self._open(job_path(namespace, job_id) + "/metrics", {}, silence_seconds, stops_at) as events:
                return next((use for event in events if (use := use_from_json(event)) is not None), None)
        except (OutOfTime, httpx2.ReadTimeout):
            return None
        except httpx2.HTTPError as error:
            raise connection_fault(error) from None
        except HubRefused as error:
            if error.status == FINISHED:
                return None
            raise

    @contextmanager
    def _open(
        self, path: str, params: dict[str, int], silence_seconds: float, stops_at: float | None
    ) -> Iterator[Iterator[dict[str, Any]]]:
        timeout = httpx2.Timeout(self._session.timeout_seconds, connect=5, read=silence_seconds)
        with self._session.streaming.stream(
            "GET", self._session.endpoint + path, params=params, headers=headers(self._token), timeout=timeout
        ) as response:
            if response.status_code != 200:
                bound(response)
                response.read()
                check(response)
            yield _events(lines(response.iter_text(), stops_at))


def _events(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    """Whatever is no JSON object (keep-alives, names of events, torn frames) is passed over."""
    for line in lines:
        if not line.startswith("data: {"):
            continue
        try:
            yield json.loads(line.removeprefix("data: "))
        except ValueError:
            continue


def _line(event: dict[str, Any]) -> LogLine | None:
    text = event.get("data")
    # Hugging Face's own first and last line, which its client hides too
    if not isinstance(text, str) or text.startswith(("===== Job started", "===== Job finished")):
        return None
    return LogLine(cleaned(str(event.get("timestamp", ""))), cleaned(text))
