"""What is said to the service and in which order, without saying it: both clients carry out the same conversations.

A conversation is a generator. It yields what is to be done next and is sent what came of it, so that whoever carries it
out needs to know nothing of retries, pages or streams, and may be synchronous or not.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from service.client.call import JSON, Call
from service.client.errors import StillRunning, TunegateError, UnexpectedAnswer, Unreachable, problem
from service.client.patience import Fault, Patience, Reply, retry_after
from service.client.run_calls import event_stream, get
from service.client.run_records import RunRecord
from service.client.sse import Frames

T = TypeVar("T")
# The service sends something every 15 seconds. What is silent for longer is not there any more.
QUIET_SECONDS = 40.0
NEAR_SECONDS = 20.0
# What another web server says of an address that it does not have: no run, team or key was looked for.
NO_SUCH_PAGE = {404, 405, 410}


@dataclass(frozen=True)
class Ask:
    """Make a call: sent a Reply or a Fault."""

    call: Call[Any]


@dataclass(frozen=True)
class Rest:
    """Do nothing for a while."""

    seconds: float


@dataclass(frozen=True)
class Listen:
    """Open a stream: sent a Reply (read whole unless its status is 200) or a Fault. `seconds`: for how long it may be
    silent."""

    call: Call[Any]
    seconds: float


@dataclass(frozen=True)
class Hear:
    """Read on in the stream: sent a line, None at its end, or a Fault."""


@dataclass(frozen=True)
class Hush:
    """Close the stream."""


@dataclass(frozen=True)
class Tell:
    """Hand something to whoever asked."""

    item: Any


Effect = Ask | Rest | Listen | Hear | Hush | Tell
Talk = Generator[Effect, Any, T]


def perform(call: Call[T], patience: Patience) -> Talk[T]:
    """One call, made again as long as patience lasts. Raises a Problem, Unreachable or UnexpectedAnswer."""
    tries, may_have_done_it = 0, False
    while True:
        outcome = yield Ask(call)
        tries += 1
        if isinstance(outcome, Reply) and outcome.status < 300:
            return _understood(call, outcome)
        if may_have_done_it and call.method == "DELETE" and isinstance(outcome, Reply) and outcome.status == 404:
            return call.read(None)  # the try before, whose answer was lost, has removed it
        pause = patience.pause(call, outcome, tries)
        if pause is None:
            raise _failure(outcome)
        may_have_done_it |= isinstance(outcome, Fault) and not outcome.never_sent
        yield Rest(pause)


def listed(call: Call[Any], patience: Patience) -> Talk[None]:
    """Tells the items of a list, page after page as they are wanted."""
    told, after = 0, call.query.get("after")
    while True:
        page_call: Call[Any] = replace(call, query={**call.query, "after": after}, read=lambda raw: raw)
        page = yield from perform(page_call, patience)
        if not isinstance(page, dict) or not isinstance(page.get("data"), list):
            raise UnexpectedAnswer(call.path, "it is no list")
        for raw in page["data"]:
            if told == call.most:
                return
            told += 1
            yield Tell(call.read(raw))
        if not page.get("has_more"):
            return
        after = page["next"]


def streamed(call: Call[Any], patience: Patience) -> Talk[None]:
    """Tells the frames of a stream to its `end`. Cut off, it goes on after the last frame that had an id: none is lost
    and none comes twice."""
    failures, last_id = 0, call.headers.get("last-event-id")
    while True:
        headers = call.headers if last_id is None else {**call.headers, "last-event-id": last_id}
        outcome = yield Listen(replace(call, headers=headers), QUIET_SECONDS)
        if isinstance(outcome, Reply) and outcome.status == 200:
            frames = Frames()
            while isinstance(line := (yield Hear()), str):
                failures = 0
                if (frame := frames.take(line)) is None:
                    continue
                last_id = frame.id or last_id
                yield Tell(frame)
                if frame.kind == "end":
                    yield Hush()
                    return
            outcome = line or Fault("the stream broke off", never_sent=False)
        failures += 1
        pause = patience.pause(call, outcome, failures)
        if pause is None:
            raise _failure(outcome)
        yield Rest(pause)


def waited(
    run_id: str, patience: Patience, clock: Callable[[], float], timeout_seconds: float | None
) -> Talk[RunRecord]:
    """The run once it has ended. Its stream of events is listened to; where that cannot be had, it is asked for again
    and again, less and less often. Raises StillRunning when the time is over."""
    over_at = math.inf if timeout_seconds is None else clock() + timeout_seconds
    failures = 0
    while True:
        run = yield from perform(get(run_id), patience)
        if run.is_terminal:
            return run
        if (left := over_at - clock()) <= 0:
            assert timeout_seconds is not None
            raise StillRunning(run_id, run.state, timeout_seconds)
        if (yield from _listened(run_id, over_at, clock)):
            failures = 0
            continue
        failures += 1
        yield Rest(min(left, patience.backoff(failures)))


def _listened(run_id: str, over_at: float, clock: Callable[[], float]) -> Talk[bool]:
    """Whether there was something to listen to until the run's end, or until shortly before the time is over."""
    left = over_at - clock()
    outcome = yield Listen(event_stream(run_id), min(QUIET_SECONDS, max(0.05, left)))
    if not isinstance(outcome, Reply) or outcome.status != 200:
        return False
    frames = Frames()
    while isinstance(line := (yield Hear()), str):
        frame = frames.take(line)
        is_near = left > NEAR_SECONDS and over_at - clock() < NEAR_SECONDS  # from here on with a shorter silence
        if (frame is not None and frame.kind == "end") or is_near or clock() >= over_at:
            yield Hush()
            return True
    return clock() >= over_at


def _understood(call: Call[T], reply: Reply) -> T:
    if call.accept != JSON:
        return call.read(reply.body.decode("utf-8", "replace"))
    if not reply.body:
        return call.read(None)
    try:
        raw = json.loads(reply.body)
    except ValueError:
        raise UnexpectedAnswer(reply.sent_to, "it is no JSON") from None
    return call.read(raw)


def _failure(outcome: Reply | Fault) -> TunegateError:
    if isinstance(outcome, Fault):
        return Unreachable(outcome.sent_to, outcome.why)
    document = _document(outcome)
    if "code" not in document and (outcome.status in NO_SUCH_PAGE or outcome.status < 400):
        elsewhere = f". It may be at {at}" if (at := outcome.headers.get("location")) else ""
        return UnexpectedAnswer(outcome.sent_to, f"{outcome.status}, and no problem document{elsewhere}")
    return problem(outcome.status, document, retry_after(outcome))


def _document(reply: Reply) -> Mapping[str, Any]:
    """The problem document, or what is said in its place where something else than the service has answered."""
    try:
        document = json.loads(reply.body)
    except ValueError:
        document = None
    if isinstance(document, dict) and "code" in document and ("detail" in document or "title" in document):
        return document
    remedy = "Check that TUNEGATE_URL names the service itself."
    return {"detail": f"{reply.sent_to} answered {reply.status}, and not as Tunegate does", "remedy": remedy}
