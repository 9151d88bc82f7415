"""When a call is made again: against a server whose answers a test chooses, and with a clock that does not run."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count

import pytest

from service.cli.demo_parts import free_port
from service.client import (
    Conflict,
    Forbidden,
    NotFound,
    Problem,
    Refused,
    ServiceFault,
    TooManyRequests,
    Tunegate,
    TunegateError,
    Unauthorised,
    UnexpectedAnswer,
    Unreachable,
)
from tests.hostile import Hostile

PROBLEM = "application/problem+json"
PAUSE = b'{"paused": true, "paused_by": null}'
TEAM = {"code": "conflict", "detail": "there is one", "remedy": "Choose another name.", "field": "name"}


GONE = {"code": "not_found", "detail": "there is none"}


def answer(status: int, body: bytes = b"{}", kind: str = "application/json", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"content-type: {kind}", f"content-length: {len(body)}", "connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


NONE = answer(404, json.dumps(GONE).encode(), PROBLEM)


class Told:
    """A client whose pauses are noted and not made."""

    def __init__(self, client: Tunegate, server: Hostile, pauses: list[float]) -> None:
        self.client, self.server, self.pauses = client, server, pauses


@contextmanager
def answering(*answers: bytes | None) -> Iterator[Told]:
    """A server that gives these answers in turn, and the last one from then on; None breaks off without one."""
    number = count()

    def behave(connection: socket.socket, _over: threading.Event) -> None:
        if (one := answers[min(next(number), len(answers) - 1)]) is not None:
            connection.sendall(one)

    pauses: list[float] = []
    with Hostile(behave) as server, Tunegate(server.url, "tg_x", sleep=pauses.append, dice=lambda: 1.0) as client:
        yield Told(client, server, pauses)


READ = lambda client: client.teams.pause("a")  # noqa: E731 - it is set, however often
MADE = lambda client: client.teams.create("a")  # noqa: E731 - made twice, there is a conflict


@pytest.mark.parametrize("status", [502, 503, 504])
def test_what_passes_is_waited_for_with_longer_pauses(status: int) -> None:
    with answering(answer(status), None, answer(status), answer(200, PAUSE)) as told:
        assert READ(told.client).paused is True
    assert told.pauses == [0.5, 1.0, 2.0]


def test_pauses_are_spread_and_end() -> None:
    with answering(None) as told, pytest.raises(Unreachable, match=r"TUNEGATE_URL"):
        READ(told.client)
    assert told.pauses == [0.5, 1.0, 2.0, 4.0, 8.0]
    with answering(None) as told:
        spread = Tunegate(told.server.url, "tg_x", sleep=told.pauses.append, dice=lambda: 0.0, retries=1)
        with spread, pytest.raises(Unreachable):
            READ(spread)
    assert told.pauses == [0.25]


def test_retry_after_is_kept_and_an_endless_one_is_told() -> None:
    with answering(answer(429, kind=PROBLEM, retry_after="7"), answer(200, PAUSE)) as told:
        assert MADE_RAW(told.client) == {"paused": True, "paused_by": None}
    assert told.pauses == [7.0]
    dates = {"date": "Sun, 29 Nov 2026 20:00:00 GMT", "retry_after": "Sun, 29 Nov 2026 20:00:05 GMT"}
    with answering(answer(429, kind=PROBLEM, **dates), answer(200, PAUSE)) as told:
        READ(told.client)
    assert told.pauses == [5.0]
    with answering(answer(429, kind=PROBLEM, retry_after="3600")) as told:
        with pytest.raises(TooManyRequests) as found:
            READ(told.client)
        assert found.value.retry_after_seconds == 3600.0
    assert told.pauses == []


def MADE_RAW(client: Tunegate) -> object:
    return client.request("POST", "/teams", {"name": "a"})


@pytest.mark.parametrize("lost", [None, answer(502), answer(504), answer(503, b"<html>", "text/html")])
def test_what_may_have_been_done_is_not_done_twice(lost: bytes | None) -> None:
    with answering(lost, answer(409, json.dumps(TEAM).encode(), PROBLEM)) as told:
        with pytest.raises((Unreachable, ServiceFault)):
            MADE(told.client)
        assert told.server.connections == 1
    assert told.pauses == []


def test_a_refusal_of_the_services_own_says_that_nothing_was_done() -> None:
    with answering(answer(503, b'{"code": "busy", "detail": "x"}', PROBLEM), answer(200, PAUSE)) as told:
        MADE_RAW(told.client)
    assert told.pauses == [0.5]


def test_without_a_connection_nothing_was_done() -> None:
    pauses: list[float] = []
    url = f"http://127.0.0.1:{free_port()}"
    with Tunegate(url, sleep=pauses.append, retries=2) as client, pytest.raises(Unreachable) as found:
        MADE(client)
    assert len(pauses) == 2
    assert url in str(found.value)
    assert "tunegate serve" in str(found.value)


def test_each_submission_has_one_key_for_all_its_tries() -> None:
    with answering(None, None, NONE) as told:
        for _ in range(2):
            with pytest.raises(NotFound):
                told.client.runs.submit(recipe={}, flavor="cpu-basic")
        keys = [line for head in told.server.requests for line in head.split(b"\r\n") if b"idempotency-key" in line]
    assert len(keys) == 4  # three tries of the first, one of the second
    assert len(set(keys[:3])) == 1
    assert keys[3] != keys[0]


def test_what_a_lost_answer_had_removed_is_removed() -> None:
    with answering(None, NONE) as told:
        told.client.webhooks.remove("wh_1")
    with answering(NONE) as told, pytest.raises(NotFound):
        told.client.webhooks.remove("wh_1")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Refused), (401, Unauthorised), (403, Forbidden), (404, NotFound), (409, Conflict), (413, Refused),
        (422, Refused), (500, ServiceFault),
    ],
)  # fmt: skip
def test_problems_are_told_apart_and_can_be_read(status: int, kind: type[Problem]) -> None:
    document = {**TEAM, "need_usd": 3.5, "errors": [{"field": "name", "rule": "taken", "remedy": None}]}
    with answering(answer(status, json.dumps(document).encode(), PROBLEM)) as told:
        with pytest.raises(kind) as found:
            MADE(told.client)
        assert told.server.connections == 1, "the same again changes nothing"
    error = found.value
    assert (error.status, error.code, error.field) == (status, "conflict", "name")
    assert str(error) == "there is one. Choose another name. (conflict)"
    assert error.raw["need_usd"] == 3.5
    assert error.errors[0]["rule"] == "taken"


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (answer(404, b"<html>nginx</html>", "text/html"), "404, and no problem document"),
        (answer(404, b'{"detail": "Not Found"}'), "names a Tunegate"),
        (answer(301, b"", location="https://elsewhere.example/"), "It may be at https://elsewhere.example/"),
        (answer(418, b"[1]"), "answered 418"),
    ],
)
def test_another_server_is_recognised(sent: bytes, told: str) -> None:
    with answering(sent) as there, pytest.raises(TunegateError, match=told) as found:
        READ(there.client)
    assert not isinstance(found.value, NotFound)


@pytest.mark.parametrize("sent", [b"<html>", b"[]", b'{"paused": "perhaps"}'])
def test_an_answer_in_another_form_is_told_of(sent: bytes) -> None:
    with answering(answer(200, sent)) as there, pytest.raises(UnexpectedAnswer):
        READ(there.client)


def test_the_key_is_in_no_text_of_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNEGATE_KEY", "tg_very_secret")
    monkeypatch.setenv("TUNEGATE_URL", "http://127.0.0.1:9/")
    with Tunegate(retries=0) as client:
        assert client.url == "http://127.0.0.1:9"
        assert "tg_very" not in f"{client!r} {client._address!r}"
        with pytest.raises(Unreachable) as found:
            client.me()
        assert "tg_very" not in str(found.value)


@pytest.mark.parametrize("url", ["localhost:8080", "ftp://x", "https://", "http://h/?a=1"])
def test_a_url_that_is_none_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="TUNEGATE_URL"):
        Tunegate(url)
    with pytest.raises(ValueError, match="copy it again"):
        Tunegate("http://h", "tg_ä")


def test_ids_never_lead_elsewhere() -> None:
    reached: list[Callable[[], object]] = []
    with answering(NONE) as told:
        reached += [lambda: told.client.runs.get("../teams?x=1"), lambda: told.client.teams.get("a/b#c")]
        for call in reached:
            with pytest.raises(NotFound):
                call()
        lines = [head.split(b"\r\n")[0] for head in told.server.requests]
    assert lines == [b"GET /hook/runs/..%2Fteams%3Fx%3D1 HTTP/1.1", b"GET /hook/teams/a%2Fb%23c HTTP/1.1"]
