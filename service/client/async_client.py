"""The asynchronous client: each call of the API by a method of its name."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import Any, TypeVar

import httpx2

from service.client import talk, team_calls
from service.client.async_resources import (
    AsyncBudgets,
    AsyncEvents,
    AsyncFlavors,
    AsyncKeys,
    AsyncQueue,
    AsyncRuns,
    AsyncSchedules,
    AsyncSweeps,
    AsyncTeams,
    AsyncTriggers,
    AsyncUsageReport,
    AsyncWebhooks,
)
from service.client.call import Call
from service.client.patience import Fault, Patience, Reply
from service.client.records import Me, Readiness
from service.client.run_records import RunRecord
from service.client.talk import Talk
from service.client.wire import Address, fault_of, reply_of, request_of

T = TypeVar("T")


class AsyncTunegate:
    """A client of the service at `url` with `key`: TUNEGATE_URL and TUNEGATE_KEY if they are left out. Tasks of
    one loop may share it. `retries`: how often a call that failed by no fault of its own is made again; a 429's
    Retry-After is kept."""

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        timeout_seconds: float = 30.0,
        retries: int = 5,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
        dice: Callable[[], float] = random.random,
    ) -> None:
        self._address = Address.of(url, key)
        self._timeout_seconds = timeout_seconds
        self._patience = Patience(retries, dice)
        self._sleep, self._clock = sleep, clock
        self._http = httpx2.AsyncClient(trust_env=not self._address.is_loopback, follow_redirects=False)
        self.runs = AsyncRuns(self)
        self.queue = AsyncQueue(self)
        self.schedules = AsyncSchedules(self)
        self.triggers = AsyncTriggers(self)
        self.sweeps = AsyncSweeps(self)
        self.events = AsyncEvents(self)
        self.teams = AsyncTeams(self)
        self.keys = AsyncKeys(self)
        self.budgets = AsyncBudgets(self)
        self.usage = AsyncUsageReport(self)
        self.webhooks = AsyncWebhooks(self)
        self.flavors = AsyncFlavors(self)

    async def __aenter__(self) -> AsyncTunegate:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"AsyncTunegate({self.url!r})"

    @property
    def url(self) -> str:
        """Where the service is."""
        return self._address.url

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def me(self) -> Me:
        """GET /me: whom the key stands for."""
        return await self.send(team_calls.me())

    async def ready(self) -> Readiness:
        """GET /readyz."""
        return await self.send(team_calls.ready())

    async def request(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """Any other call of the API: the answer's JSON, or the same errors."""
        return await self.send(team_calls.anything(method, path, body, **query))

    async def send(self, call: Call[T]) -> T:
        """Make a call that was described."""
        return await self._carry_out(talk.perform(call, self._patience))

    def items(self, call: Call[T]) -> AsyncIterator[T]:
        """The items of a list, over all its pages."""
        return self._told(talk.listed(call, self._patience))

    def frames(self, call: Call[Any]) -> AsyncIterator[Any]:
        """The frames of a stream, which is taken up again where it is cut off."""
        return self._told(talk.streamed(call, self._patience))

    async def wait(self, run_id: str, timeout_seconds: float | None) -> RunRecord:
        """The run once it has ended; raises StillRunning."""
        return await self._carry_out(talk.waited(run_id, self._patience, self._clock, timeout_seconds))

    async def _carry_out(self, conversation: Talk[T]) -> T:
        ear, answer = _Ear(self._http, self._address, self._timeout_seconds, self._sleep), None
        try:
            while True:
                answer = await ear.carry_out(conversation.send(answer))
        except StopIteration as end:
            result: T = end.value
            return result
        finally:
            await ear.close()

    async def _told(self, conversation: Talk[None]) -> AsyncIterator[Any]:
        ear, answer = _Ear(self._http, self._address, self._timeout_seconds, self._sleep), None
        try:
            while True:
                effect = conversation.send(answer)
                if isinstance(effect, talk.Tell):
                    yield effect.item
                    answer = None
                else:
                    answer = await ear.carry_out(effect)
        except StopIteration:
            return
        finally:
            await ear.close()


class _Ear:
    """Carries out what a conversation wants, and holds the stream that it listens to."""

    def __init__(
        self,
        http: httpx2.AsyncClient,
        address: Address,
        timeout_seconds: float,
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._http, self._address, self._sleep = http, address, sleep
        self._timeout_seconds = timeout_seconds
        self._stream: httpx2.Response | None = None
        self._lines: AsyncIterator[str] | None = None

    async def carry_out(self, effect: talk.Effect) -> Reply | Fault | str | None:
        try:
            match effect:
                case talk.Ask(call):
                    timeout = httpx2.Timeout(self._timeout_seconds)
                    answer = await self._http.send(request_of(call, self._address, timeout))
                    return reply_of(answer, answer.content)
                case talk.Rest(seconds):
                    await self._sleep(seconds)
                case talk.Listen(call, seconds):
                    return await self._listen(call, seconds)
                case talk.Hear():
                    return None if self._lines is None else await anext(self._lines, None)
                case talk.Hush():
                    await self.close()
        except httpx2.HTTPError as error:
            return fault_of(error, self._address)
        return None

    async def close(self) -> None:
        if self._stream is not None:
            await self._stream.aclose()
            self._stream = None

    async def _listen(self, call: Call[Any], seconds: float) -> Reply:
        await self.close()
        timeout = httpx2.Timeout(self._timeout_seconds, read=seconds)
        self._stream = await self._http.send(request_of(call, self._address, timeout), stream=True)
        if self._stream.status_code != 200:
            return reply_of(self._stream, await self._stream.aread())
        self._lines = self._stream.aiter_lines()
        return reply_of(self._stream, b"")
