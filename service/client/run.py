"""A run as the synchronous client gives it: what it is, and what can be done with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, Self, TypeVar

from pydantic import PrivateAttr

from service.client import run_calls
from service.client.answers import Event, LogLine
from service.client.call import Call
from service.client.run_records import RunRecord

if TYPE_CHECKING:
    from service.client.client import Tunegate

P = ParamSpec("P")
T = TypeVar("T")


class Asked(Generic[P, T]):
    """A call about a run as a method of the run: its answer."""

    def __init__(self, describe: Callable[Concatenate[str, P], Call[T]]) -> None:
        self._describe = describe

    def __get__(self, run: Run, kind: type[Run]) -> Callable[P, T]:
        @wraps(self._describe)
        def ask(*args: P.args, **kwargs: P.kwargs) -> T:
            return run.client.send(self._describe(run.id, *args, **kwargs))

        return ask


class Itemised(Generic[P, T]):
    """A list about a run as a method of the run: its items."""

    def __init__(self, describe: Callable[Concatenate[str, P], Call[T]]) -> None:
        self._describe = describe

    def __get__(self, run: Run, kind: type[Run]) -> Callable[P, Iterator[T]]:
        @wraps(self._describe)
        def items(*args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
            return run.client.items(self._describe(run.id, *args, **kwargs))

        return items


class Steered(Generic[P]):
    """A call that changes a run as a method of the run, which then is as the answer says."""

    def __init__(self, describe: Callable[Concatenate[str, P], Call[RunRecord]]) -> None:
        self._describe = describe

    def __get__(self, run: Run, kind: type[Run]) -> Callable[P, Run]:
        @wraps(self._describe)
        def ask(*args: P.args, **kwargs: P.kwargs) -> Run:
            return run.become(run.client.send(self._describe(run.id, *args, **kwargs)))

        return ask


class Descended(Generic[P]):
    """A call that makes another run of a run: the other one."""

    def __init__(self, describe: Callable[Concatenate[str, P], Call[RunRecord]]) -> None:
        self._describe = describe

    def __get__(self, run: Run, kind: type[Run]) -> Callable[P, Run]:
        @wraps(self._describe)
        def ask(*args: P.args, **kwargs: P.kwargs) -> Run:
            return Run.bound(run.client, run.client.send(self._describe(run.id, *args, **kwargs)))

        return ask


class Methods:
    """What is a call of the API and nothing more."""

    refresh = Steered(run_calls.get)
    change = Steered(run_calls.change)
    cancel = Steered(run_calls.cancel)
    pause = Steered(run_calls.pause)
    resume = Steered(run_calls.resume)
    approve = Steered(run_calls.approve)
    refuse = Steered(run_calls.refuse)
    then = Steered(run_calls.then)
    retry = Descended(run_calls.retry)
    rescue = Descended(run_calls.rescue)
    explain = Asked(run_calls.explain)
    logs = Asked(run_calls.logs)
    metrics = Asked(run_calls.metrics)
    events = Itemised(run_calls.events)
    ledger = Itemised(run_calls.ledger)


class Run(Methods, RunRecord):
    """A run. Its fields are as of the last answer: `refresh`, `wait` and whatever changes it bring them up to date."""

    _client: Any = PrivateAttr()

    @classmethod
    def bound(cls, client: Tunegate, record: RunRecord) -> Run:
        """The run of a record, with the client that its methods use."""
        run = cls.model_construct(**record.__dict__)
        run._client = client
        return run.become(record)

    @property
    def client(self) -> Tunegate:
        """The client that it came from."""
        client: Tunegate = self._client
        return client

    def become(self, record: RunRecord) -> Self:
        """Be as a newer record says."""
        self.__dict__.update(record.__dict__)
        self._raw = record.raw
        return self

    def wait(self, timeout_seconds: float | None = None) -> Self:
        """Return once it has ended, however it did: `state` says. Raises StillRunning (a TimeoutError) when the time is
        over; the run goes on."""
        return self.become(self.client.wait(self.id, timeout_seconds))

    def follow_events(self) -> Iterator[Event]:
        """Its events so far and as they come, until it has ended. Taken up again after a cut."""
        for frame in self.client.frames(run_calls.event_stream(self.id)):
            if frame.kind == "message":
                yield Event.of(frame.data)

    def follow_logs(
        self,
        *,
        attempt: int | None = None,
        tail: int | None = None,
        since: datetime | str | None = None,
        contains: str | None = None,
    ) -> Iterator[LogLine]:
        """The lines of its log as they come, attempt after attempt, until it has ended; of one attempt alone if that is
        named. After a cut it goes on with the next line: none is missing, and none comes twice."""
        call = run_calls.log_stream(self.id, attempt=attempt, tail=tail, since=since, contains=contains)
        for frame in self.client.frames(call):
            if frame.kind == "message":
                yield LogLine.of(frame.data)
