"""Clients that are slow, greedy or no clients at all, over real sockets."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
import uvicorn

from service import server
from service.api import connections, edge, streams
from service.api.rates import Rates
from service.api.streams import OpenStreams
from service.domain.rate import Rate
from service.flow import notify
from tests.api.conftest import ADMIN_KEY, Api
from tests.api.test_runs import submit

Connect = Callable[[], socket.socket]
Answer = tuple[int, dict[str, str], bytes]


@pytest.fixture
def connect(api: Api) -> Iterator[Connect]:
    with serving(api) as opens:
        yield opens


@contextlib.contextmanager
def serving(api: Api, *trusted: str, most_connections: int = 500) -> Iterator[Connect]:
    """The server as `tunegate serve` runs it; what is given opens a connection to it."""
    config = server.config(api.app, "127.0.0.1", 0, trusted, most_connections)
    listener = config.bind_socket()
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
    thread.start()
    while not running.started:
        time.sleep(0.01)
    opened: list[socket.socket] = []

    def open_one() -> socket.socket:
        opened.append(socket.create_connection(listener.getsockname(), timeout=10))
        return opened[-1]

    try:
        yield open_one
    finally:
        for one in opened:
            one.close()
        running.should_exit = True
        thread.join(10)
        listener.close()


def answer_of(one: socket.socket) -> Answer:
    """The status, headers and body of what comes until the connection ends."""
    received = b""
    while chunk := one.recv(65536):
        received += chunk
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    return int(first.split()[1]), dict(line.lower().split(": ", 1) for line in lines), body


def ask(one: socket.socket, method: str = "GET", path: str = "/healthz", *headers: str) -> Answer:
    lines = [f"{method} {path} HTTP/1.1", "host: x", "connection: close", *headers, "", ""]
    one.sendall("\r\n".join(lines).encode())
    return answer_of(one)


def is_problem(found: Answer, status: int, code: str) -> bool:
    assert (found[0], found[1]["content-type"]) == (status, "application/problem+json")
    assert found[1]["x-content-type-options"] == "nosniff"
    return json.loads(found[2])["code"] == code


BEGUN = b"GET /healthz HTTP/1.1\r\nx: "
WHOLE = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"


@pytest.mark.parametrize(("begin", "drip"), [(b"", b""), (BEGUN, b"a"), (b"", b"\r\n"), (WHOLE + BEGUN, b"a")])
def test_headers_that_drip_are_not_waited_for(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, begin: bytes, drip: bytes
) -> None:
    monkeypatch.setattr(connections, "HEADER_SECONDS", 0.3)
    one = connect()
    one.sendall(begin)
    stops_at = time.monotonic() + 8
    one.settimeout(0.05)
    received = b""
    while time.monotonic() < stops_at:
        try:
            one.send(drip)
            if (chunk := one.recv(65536)) == b"":
                break
            received += chunk
        except TimeoutError:
            continue
        except OSError:
            break
    assert time.monotonic() < stops_at, "it is still open"
    assert b"request_timeout" in received


def test_a_body_that_drips_is_answered_408(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge, "BODY_SECONDS", 0.2)
    found = ask(connect(), "POST", "/runs", "content-length: 100", "content-type: application/json")
    assert is_problem(found, 408, "request_timeout")
    assert found[1]["connection"] == "close"


def test_a_body_that_breaks_off_is_no_request(connect: Connect, api: Api) -> None:
    one = connect()
    head = f"POST /teams HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {ADMIN_KEY}\r\ncontent-length: 99\r\n\r\n"
    one.sendall(head.encode() + b'{"name": "torn"}')
    one.close()
    assert ask(connect())[0] == 200
    assert api("GET", "/teams/torn", as_="admin").status_code == 404


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00",
        b"GET\r\n\r\n",
        b"GET http://[x HTTP/1.1\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\n\r\n",
        b"* * HTTP/1.1\r\n\r\n",
    ],
)
def test_what_is_no_http_is_a_problem(connect: Connect, sent: bytes) -> None:
    one = connect()
    one.sendall(sent)
    assert is_problem(answer_of(one), 400, "malformed_request")


def test_headers_without_end_are_not_kept(connect: Connect) -> None:
    one = connect()
    try:
        one.sendall(b"GET / HTTP/1.1\r\nx: " + b"a" * 4 * connections.HEADER_BYTES)
        found = answer_of(one)
    except ConnectionError:  # closed before all of it was taken
        return
    assert is_problem(found, 431, "headers_too_large")


def test_many_headers_and_long_addresses_are_problems(connect: Connect) -> None:
    assert is_problem(ask(connect(), "GET", "/runs", "x: " + "a" * edge.MAX_HEADER_BYTES), 431, "headers_too_large")
    assert is_problem(ask(connect(), "GET", "/runs?label=" + "a" * edge.MAX_ADDRESS_BYTES), 414, "address_too_long")


def test_a_reader_that_does_not_read_is_left(connect: Connect, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "READ_SECONDS", 0.3)
    one = connect()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    asked = b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n"
    one.sendall(asked * 60)  # several megabytes of answers
    time.sleep(0.1)
    stops_at = time.monotonic() + 8
    with contextlib.suppress(OSError):  # reset, or a broken pipe
        while time.monotonic() < stops_at:
            time.sleep(0.05)
            one.sendall(b"x")
    assert time.monotonic() < stops_at, "it is still open"
    assert ask(connect())[0] == 200


def test_idle_connections_keep_nobody_out(api: Api) -> None:
    with serving(api, most_connections=5) as connect:
        for _ in range(12):
            connect()
        assert ask(connect())[0] == 200


def test_where_every_connection_is_busy_the_next_is_told(api: Api) -> None:
    run_id = submit(api)["id"]
    with serving(api, most_connections=2) as connect:
        for _ in range(2):
            follow(connect(), f"/runs/{run_id}/events", ADMIN_KEY)
        with contextlib.closing(connect()) as one:
            assert is_problem(answer_of(one), 503, "overloaded")


def test_requests_one_after_the_other_share_a_connection(connect: Connect) -> None:
    one = connect()
    for _ in range(3):
        one.sendall(WHOLE)
        assert one.recv(65536).startswith(b"HTTP/1.1 200")


def test_only_a_trusted_proxy_says_who_is_behind_it(api: Api) -> None:
    api.app.state.tunegate = replace(api.app.state.tunegate, rates=Rates(Rate(2, 3600)))
    for trusted, expected in (((), [401, 401, 429, 429]), (("127.0.0.0/8",), [401, 401, 401, 401])):
        with serving(api, *trusted) as connect:
            found = [ask(connect(), "GET", "/runs", f"x-forwarded-for: 203.0.113.{host}")[0] for host in range(4)]
        assert found == expected, trusted


def follow(one: socket.socket, path: str, key: str | None) -> None:
    """Open a stream."""
    asked = (f"GET {path} HTTP/1.1", "host: x", "accept: text/event-stream", f"authorization: Bearer {key}")
    one.sendall("\r\n".join([*asked, "", ""]).encode())
    assert one.recv(12) == b"HTTP/1.1 200"


def goes_on(one: socket.socket, seconds: float = 8, received: bytes = b"") -> bool:
    """Whether a stream has not ended after so long."""
    stops_at = time.monotonic() + seconds
    one.settimeout(0.1)
    while time.monotonic() < stops_at and not received.endswith(b"0\r\n\r\n"):
        with contextlib.suppress(TimeoutError):
            received += one.recv(65536)
    return not received.endswith(b"0\r\n\r\n")


def test_no_key_holds_all_streams(connect: Connect, api: Api) -> None:
    api.app.state.tunegate = replace(api.app.state.tunegate, streams=OpenStreams(4))
    path = f"/runs/{submit(api)['id']}/events"
    first = connect()
    follow(first, path, api.keys["member"])
    assert b"event" in first.recv(65536) + first.recv(65536)
    headers = ("accept: text/event-stream", f"authorization: Bearer {api.keys['member']}")
    assert is_problem(ask(connect(), "GET", path, *headers), 503, "busy")
    follow(connect(), path, api.keys["lead"])


def test_who_has_the_same_name_in_another_team_has_streams_of_their_own(connect: Connect, api: Api) -> None:
    api.app.state.tunegate = replace(api.app.state.tunegate, streams=OpenStreams(4))
    answer = api("POST", "/teams/other/keys", as_="admin", json={"name": "member", "role": "member"})
    for key in (api.keys["member"], answer.json()["key"]):
        follow(connect(), "/events", key)


def test_a_stream_tells_what_happens_at_once(connect: Connect, api: Api) -> None:
    """Unasked it looks once a minute."""
    run_id = submit(api)["id"]
    followed = {path: connect() for path in (f"/runs/{run_id}/events", f"/runs/{run_id}/logs?follow=true", "/events")}
    for path, one in followed.items():
        follow(one, path, api.keys["member"])
        goes_on(one, 0.3)  # what there is already
    assert api("POST", f"/runs/{run_id}/cancel").is_success
    api.world.pass_all()
    notify.run_once(api.world.gate)
    for path, one in followed.items():
        received = b""
        while b"cancelled" not in received:
            received += one.recv(65536)  # within ten seconds
        assert goes_on(one, 0.5, received) == (path == "/events"), path


def test_a_stream_ends_with_the_key_that_it_was_asked_for_with(connect: Connect, api: Api) -> None:
    made = api("POST", "/teams/research/keys", as_="lead", json={"name": "ci", "role": "viewer"}).json()
    one, other = connect(), connect()
    follow(one, "/events", made["key"])
    follow(other, "/events", api.keys["viewer"])
    api("DELETE", f"/teams/research/keys/{made['id']}", as_="lead")
    assert not goes_on(one)
    assert goes_on(other, 0.5)


def test_a_stream_ends_some_time_after_its_key_has_expired(
    connect: Connect, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "LOOK_SECONDS", 0.01)
    soon = (api.world.clock.now + timedelta(hours=1)).isoformat()
    body = {"name": "ci", "role": "viewer", "expires_at": soon}
    one = connect()
    follow(one, "/events", api("POST", "/teams/research/keys", as_="lead", json=body).json()["key"])
    assert goes_on(one, 0.5)
    api.world.clock.turn(hours=2)
    assert not goes_on(one)
