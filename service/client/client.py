"""The synchronous client: each call of the API by a method of its name."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, TypeVar

import httpx2

from service.client import talk, team_calls
from service.client.call import Call
from service.client.patience import Fault, Patience, Reply
from service.client.records import Me, Readiness
from service.client.resources import (
    Budgets,
    Events,
    Flavors,
    Keys,
    Queue,
    Runs,
    Schedules,
    Sweeps,
    Teams,
    Triggers,
    UsageReport,
    Webhooks,
)
from service.client.run_records import RunRecord
from service.client.talk import Talk
from service.client.wire import Address, fault_of, reply_of, request_of

T = TypeVar("T")


class Tunegate:
    """A client of the service at `url` with `key`: TUNEGATE_URL and TUNEGATE_KEY if they are left out. Threads may
    share it. `retries`: how often a call that failed by no fault of its own is made again; a 429's Retry-After is
    kept."""

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        timeout_seconds: float = 30.0,
        retries: int = 5,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        dice: Callable[[], float] = random.random,
    ) -> None:
        self._address = Address.of(url, key)
        self._timeout_seconds = timeout_seconds
        self._patience = Patience(retries, dice)
        self._sleep, self._clock = sleep, clock
        self._http = httpx2.Client(trust_env=not self._address.is_loopback, follow_redirects=False)
        self.runs = Runs(self)
        self.queue = Queue(self)
        self.schedules = Schedules(self)
        self.triggers = Triggers(self)
        self.sweeps = Sweeps(self)
        self.events = Events(self)
        self.teams = Teams(self)
        self.keys = Keys(self)
        self.budgets = Budgets(self)
        self.usage = UsageReport(self)
        self.webhooks = Webhooks(self)
        self.flavors = Flavors(self)

    def __enter__(self) -> Tunegate:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Tunegate({self.url!r})"

    @property
    def url(self) -> str:
        """Where the service is."""
        return self._address.url

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def me(self) -> Me:
        """GET /me: whom the key stands for."""
        return self.send(team_calls.me())

    def ready(self) -> Readiness:
        """GET /readyz."""
        return self.send(team_calls.ready())

    def request(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """Any other call of the API: the answer's JSON, or the same errors."""
        return self.send(team_calls.anything(method, path, body, **query))

    def send(self, call: Call[T]) -> T:
        """Make a call that was described."""
        return self._carry_out(talk.perform(call, self._patience))

    def items(self, call: Call[T]) -> Iterator[T]:
        """The items of a list, over all its pages."""
        return self._told(talk.listed(call, self._patience))

    def frames(self, call: Call[Any]) -> Iterator[Any]:
        """The frames of a stream, which is taken up again where it is cut off."""
        return self._told(talk.streamed(call, self._patience))

    def wait(self, run_id: str, timeout_seconds: float | None) -> RunRecord:
        """The run once it has ended; raises StillRunning."""
        return self._carry_out(talk.waited(run_id, self._patience, self._clock, timeout_seconds))

    def _carry_out(self, conversation: Talk[T]) -> T:
        ear, answer = _Ear(self._http, self._address, self._timeout_seconds, self._sleep), None
        try:
            while True:
                answer = ear.carry_out(conversation.send(answer))
        except StopIteration as end:
            result: T = end.value
            return result
        finally:
            ear.close()

    def _told(self, conversation: Talk[None]) -> Iterator[Any]:
        ear, answer = _Ear(self._http, self._address, self._timeout_seconds, self._sleep), None
        try:
            while True:
                effect = conversation.send(answer)
                if isinstance(effect, talk.Tell):
                    yield effect.item
                    answer = None
                else:
                    answer = ear.carry_out(effect)
        except StopIteration:
            return
        finally:
            ear.close()


class _Ear:
    """Carries out what a conversation wants, and holds the stream that it listens to."""

    def __init__(
        self, http: httpx2.Client, address: Address, timeout_seconds: float, sleep: Callable[[float], None]
    ) -> None:
        self._http, self._address, self._sleep = http, address, sleep
        self._timeout_seconds = timeout_seconds
        self._stream: httpx2.Response | None = None
        self._lines: Iterator[str] = iter(())

    def carry_out(self, effect: talk.Effect) -> Reply | Fault | str | None:
        try:
            match effect:
                case talk.Ask(call):
                    timeout = httpx2.Timeout(self._timeout_seconds)
                    answer = self._http.send(request_of(call, self._address, timeout))
                    return reply_of(answer, answer.content)
                case talk.Rest(seconds):
                    self._sleep(seconds)
                case talk.Listen(call, seconds):
                    return self._listen(call, seconds)
                case talk.Hear():
                    return next(self._lines, None)
                case talk.Hush():
                    self.close()
        except httpx2.HTTPError as error:
            return fault_of(error, self._address)
        return None

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _listen(self, call: Call[Any], seconds: float) -> Reply:
        self.close()
        timeout = httpx2.Timeout(self._timeout_seconds, read=seconds)
        self._stream = self._http.send(request_of(call, self._address, timeout), stream=True)
        if self._stream.status_code != 200:
            return reply_of(self._stream, self._stream.read())
        self._lines = self._stream.iter_lines()
        return reply_of(self._stream, b"")
