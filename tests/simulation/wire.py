"""The network between service and sandbox: it delays and loses, and lets other things happen during a request."""

from __future__ import annotations

from datetime import datetime, timedelta

import httpx2

from service.sandbox.core import Sandbox
from service.sandbox.transport import SandboxTransport
from service.sandbox.wire import Request
from tests.simulation.clock import SimulatedClock
from tests.simulation.weather import Weather, makes_job

DEFAULT_PATIENCE = 30.0

# How much more probably a process dies around a create call, and while one is on its way.
AT_CREATE = 6
ON_THE_WAY = 20


class SimulatedWire(SandboxTransport):
    """Carries requests under the weather. A request is never answered, and never arrives, after its caller's patience;
    one whose caller died arrives all the same if it was on its way."""

    def __init__(self, core: Sandbox, clock: SimulatedClock, weather: Weather) -> None:
        super().__init__(core, clock.hub)
        self._true = clock
        self._weather = weather
        self._on_the_way: list[tuple[datetime, Request]] = []

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """One request, with all that may happen around it."""
        weather = self._weather
        name = f"{request.method} {request.url.path}"
        request.read()
        patience = float(request.extensions.get("timeout", {}).get("read") or DEFAULT_PATIENCE)
        gives_up = self._true.true + timedelta(seconds=patience)
        times = AT_CREATE if makes_job(request) else 1
        weather.cut(f"before {name}", times)
        trouble = weather.trouble(request)
        if trouble == "refused":
            raise httpx2.ConnectError("Connection refused", request=request)
        weather.meanwhile(self._left(gives_up))
        self._wait_no_longer(gives_up, request)
        if trouble == "late":
            self._send_late(request, gives_up, name)
        if trouble == "lost before":
            raise httpx2.ReadError("The connection broke", request=request)
        response = self._carry(request, gives_up)
        weather.note(f"{name} -> {response.status_code}")
        weather.cut(f"after {name}", times)
        if trouble == "lost after":
            raise httpx2.ReadError("The connection broke", request=request)
        weather.meanwhile(self._left(gives_up))
        self._wait_no_longer(gives_up, request)
        weather.pause()
        return response

    def deliver(self, until: datetime) -> None:
        """Let the late requests arrive that are due."""
        for due, request in sorted(self._on_the_way, key=lambda late: late[0]):
            if due <= until:
                self._true.advance_to(due)
                self._on_the_way.remove((due, request))
                status = self.core.handle(request, due).status
                self._weather.note(f"late {request.method} {request.path} arrives -> {status}, nobody hears of it")

    @property
    def is_quiet(self) -> bool:
        """Whether no request is on its way."""
        return not self._on_the_way

    def _carry(self, request: httpx2.Request, gives_up: datetime) -> httpx2.Response:
        try:
            return super().handle_request(request)
        except httpx2.ReadTimeout:
            self._weather.note(f"{request.method} {request.url.path} is answered too late")
            self._weather.turn(self._left(gives_up))
            raise

    def _send_late(self, request: httpx2.Request, gives_up: datetime, name: str) -> None:
        late = self._weather.late_by(self._left(gives_up))
        plain = Request(
            method=request.method,
            path=request.url.path,
            query_string=request.url.query.decode("latin-1"),
            headers={key.lower(): value for key, value in request.headers.items()},
            body=request.read(),
        )
        self._on_the_way.append((self._true.true + timedelta(milliseconds=late), plain))
        self._weather.note(f"{name} is on its way for {late} ms")
        self._weather.cut(f"while {name} is on its way", ON_THE_WAY)
        self._weather.turn(self._left(gives_up))
        raise httpx2.ReadTimeout("The read operation timed out", request=request)

    def _left(self, gives_up: datetime) -> int:
        return max(0, round((gives_up - self._true.true).total_seconds() * 1000))

    def _wait_no_longer(self, gives_up: datetime, request: httpx2.Request) -> None:
        if self._true.true > gives_up:
            raise httpx2.ReadTimeout("The read operation timed out", request=request)
