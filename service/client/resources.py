"""The parts of the API as the synchronous client has them: each method is a call that was described elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Generic, ParamSpec, TypeVar

from service.client import origin_calls, run_calls, team_calls
from service.client.answers import Event
from service.client.call import Call
from service.client.run import Run
from service.client.run_records import RunRecord

if TYPE_CHECKING:
    from service.client.client import Tunegate

P = ParamSpec("P")
T = TypeVar("T")


class Resource:
    """A part of the API."""

    def __init__(self, client: Tunegate) -> None:
        self.client = client


class Answered(Generic[P, T]):
    """A call as a method: its answer."""

    def __init__(self, describe: Callable[P, Call[T]]) -> None:
        self._describe = describe

    def __get__(self, owner: Resource, kind: type[Resource]) -> Callable[P, T]:
        @wraps(self._describe)
        def ask(*args: P.args, **kwargs: P.kwargs) -> T:
            return owner.client.send(self._describe(*args, **kwargs))

        return ask


class Listed(Generic[P, T]):
    """A list as a method: its items, fetched as they are wanted."""

    def __init__(self, describe: Callable[P, Call[T]]) -> None:
        self._describe = describe

    def __get__(self, owner: Resource, kind: type[Resource]) -> Callable[P, Iterator[T]]:
        @wraps(self._describe)
        def items(*args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
            return owner.client.items(self._describe(*args, **kwargs))

        return items


class AnsweredRun(Generic[P]):
    """A call as a method: the run of its answer."""

    def __init__(self, describe: Callable[P, Call[RunRecord]]) -> None:
        self._describe = describe

    def __get__(self, owner: Resource, kind: type[Resource]) -> Callable[P, Run]:
        @wraps(self._describe)
        def ask(*args: P.args, **kwargs: P.kwargs) -> Run:
            return Run.bound(owner.client, owner.client.send(self._describe(*args, **kwargs)))

        return ask


class ListedRuns(Generic[P]):
    """A list of runs as a method."""

    def __init__(self, describe: Callable[P, Call[RunRecord]]) -> None:
        self._describe = describe

    def __get__(self, owner: Resource, kind: type[Resource]) -> Callable[P, Iterator[Run]]:
        @wraps(self._describe)
        def items(*args: P.args, **kwargs: P.kwargs) -> Iterator[Run]:
            call = self._describe(*args, **kwargs)
            return (Run.bound(owner.client, record) for record in owner.client.items(call))

        return items


class Runs(Resource):
    """`client.runs`."""

    submit = AnsweredRun(run_calls.submit)
    estimate = Answered(run_calls.estimate)
    get = AnsweredRun(run_calls.get)
    list = ListedRuns(run_calls.every)


class Queue(Resource):
    """`client.queue`."""

    list = Listed(run_calls.queue)
    pause = Answered(team_calls.pause_queue)
    resume = Answered(team_calls.resume_queue)


class Schedules(Resource):
    """`client.schedules`."""

    list = Listed(origin_calls.schedules)
    get = Answered(origin_calls.schedule)
    create = Answered(origin_calls.create_schedule)
    change = Answered(origin_calls.change_schedule)
    pause = Answered(origin_calls.pause_schedule)
    resume = Answered(origin_calls.resume_schedule)
    run = AnsweredRun(origin_calls.run_schedule)
    remove = Answered(origin_calls.remove_schedule)


class Triggers(Resource):
    """`client.triggers`."""

    list = Listed(origin_calls.triggers)
    get = Answered(origin_calls.trigger)
    create = Answered(origin_calls.create_trigger)
    change = Answered(origin_calls.change_trigger)
    pause = Answered(origin_calls.pause_trigger)
    resume = Answered(origin_calls.resume_trigger)
    run = Answered(origin_calls.run_trigger)
    rotate_secret = Answered(origin_calls.rotate_trigger_secret)
    remove = Answered(origin_calls.remove_trigger)


class Sweeps(Resource):
    """`client.sweeps`."""

    list = Listed(origin_calls.sweeps)
    get = Answered(origin_calls.sweep)
    create = Answered(origin_calls.create_sweep)
    change = Answered(origin_calls.change_sweep)
    cancel = Answered(origin_calls.cancel_sweep)


class Events(Resource):
    """`client.events`: the feed."""

    list = Listed(run_calls.feed)
    newest = Answered(run_calls.newest)

    def follow(
        self,
        *,
        types: str | Sequence[str] | None = None,
        team: str | None = None,
        after: int | str | None = None,
    ) -> Iterator[Event]:
        """What happens, as it happens and without an end: after a position, from `newest()` on, or else from the
        start. Taken up again after a cut, without loss."""
        for frame in self.client.frames(run_calls.feed_stream(types=types, team=team, after=after)):
            yield Event.of(frame.data)


class Teams(Resource):
    """`client.teams`."""

    list = Listed(team_calls.teams)
    get = Answered(team_calls.team)
    create = Answered(team_calls.create_team)
    change = Answered(team_calls.change_team)
    pause = Answered(team_calls.pause_team)
    resume = Answered(team_calls.resume_team)
    cancel_runs = Answered(team_calls.stop_team)
    archive = Answered(team_calls.archive_team)
    unarchive = Answered(team_calls.unarchive_team)
    limits = Answered(team_calls.limits)
    set_limits = Answered(team_calls.set_limits)


class Keys(Resource):
    """`client.keys`: a team's, or without a team the organisation's."""

    list = Listed(team_calls.keys)
    create = Answered(team_calls.create_key)
    rotate = Answered(team_calls.rotate_key)
    revoke = Answered(team_calls.revoke_key)


class Budgets(Resource):
    """`client.budgets`: a team's, one of its users', or without a team the organisation's."""

    list = Listed(team_calls.budgets)
    get = Answered(team_calls.budget)
    set = Answered(team_calls.set_budget)
    remove = Answered(team_calls.remove_budget)
    grant = Answered(team_calls.grant)


class UsageReport(Resource):
    """`client.usage`."""

    get = Answered(team_calls.usage)
    csv = Answered(team_calls.usage_csv)


class Webhooks(Resource):
    """`client.webhooks`."""

    list = Listed(team_calls.webhooks)
    get = Answered(team_calls.webhook)
    create = Answered(team_calls.create_webhook)
    change = Answered(team_calls.change_webhook)
    remove = Answered(team_calls.remove_webhook)
    rotate_secret = Answered(team_calls.rotate_webhook_secret)
    test = Answered(team_calls.test_webhook)
    deliveries = Listed(team_calls.deliveries)
    redeliver = Answered(team_calls.redeliver)
    redeliver_since = Answered(team_calls.redeliver_since)


class Flavors(Resource):
    """`client.flavors`."""

    list = Listed(team_calls.flavors)
