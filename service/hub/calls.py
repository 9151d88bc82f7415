"""Counts the calls to Hugging Face of this process, by what they were for and what came of them."""

from __future__ import annotations

import threading
from collections import Counter

import httpx2


class Calls:
    """One for all clients of a process: they share their connections."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, str]] = Counter()

    def answered(self, response: httpx2.Response) -> None:
        """To be called for each answer."""
        self._add(response.request, f"{response.status_code // 100}xx" if response.status_code != 429 else "429")

    def broke(self, method: str, url: str) -> None:
        """To be called where no answer came."""
        self._add(httpx2.Request(method, url), "none")

    def counts(self) -> dict[tuple[str, str], int]:
        """So far, by kind and outcome (`2xx`, `4xx`, `429`, `5xx`, or `none` for no answer)."""
        with self._lock:
            return dict(self._counts)

    def _add(self, request: httpx2.Request, outcome: str) -> None:
        with self._lock:
            self._counts[kind_of(request.method, request.url.path), outcome] += 1


def kind_of(method: str, path: str) -> str:
    """What a call is for: `create`, `list`, `job`, `cancel`, `logs`, `metrics` of jobs, `hardware`, or `repository` and
    all the rest."""
    match method, path.split("/")[1:]:
        case "GET", ["api", "jobs", "hardware"]:
            return "hardware"
        case "POST", ["api", "jobs", _]:
            return "create"
        case "GET", ["api", "jobs", _]:
            return "list"
        case "GET", ["api", "jobs", _, _]:
            return "job"
        case "POST", ["api", "jobs", _, _, "cancel"]:
            return "cancel"
        case "GET", ["api", "jobs", _, _, ("logs" | "metrics") as kind]:
            return kind
    return "repository"
