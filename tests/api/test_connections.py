"""Clients that are slow, greedy or no clients at all, over real sockets."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import uvicorn

from service import server
from service.api import connections, edge, streams
from service.api.rates import Rates
from service.domain.rate import Rate
from tests.api.conftest import ADMIN_KEY, Api
from tests.api.test_runs import submit

Connect = Callable[[], socket.socket]
Answer = tuple[int, dict[str, str], bytes]


@pytest.fixture
def connect(api: Api) -> Iterator[Connect]:
    with serving(api) as opens:
        yield opens


@contextlib.contextmanager
def serving(api: Api, *trusted: str) -> Iterator[Connect]:
    """The server as `tunegate serve` runs it; what is given opens a connection to it."""
    config = server.config(api.app, "127.0.0.1", 0, trusted)
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


def test_idle_connections_keep_nobody_out(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MOST_CONNECTIONS", 5)
    for _ in range(12):
        connect()
    assert ask(connect())[0] == 200


def test_where_every_connection_is_busy_the_next_is_told(
    connect: Connect, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "MOST_CONNECTIONS", 2)
    run_id = submit(api)["id"]
    for _ in range(2):
        one = connect()
        one.sendall(
            f"GET /runs/{run_id}/events HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\n"
            f"authorization: Bearer {ADMIN_KEY}\r\n\r\n".encode()
        )
        assert one.recv(12) == b"HTTP/1.1 200"
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


def test_no_key_holds_all_streams(connect: Connect, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "MOST_OF_ONE", 1)
    asked = ("GET", f"/runs/{submit(api)['id']}/events", "accept: text/event-stream")
    member, lead = (f"authorization: Bearer {api.keys[caller]}" for caller in ("member", "lead"))
    first = connect()
    first.sendall("\r\n".join([f"{asked[0]} {asked[1]} HTTP/1.1", "host: x", asked[2], member, "", ""]).encode())
    assert b"event" in first.recv(65536) + first.recv(65536)
    assert is_problem(ask(connect(), *asked, member), 503, "busy")
    second = connect()
    second.sendall("\r\n".join([f"{asked[0]} {asked[1]} HTTP/1.1", "host: x", asked[2], lead, "", ""]).encode())
    assert second.recv(12) == b"HTTP/1.1 200"


def test_who_has_the_same_name_in_another_team_has_streams_of_their_own(
    connect: Connect, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "MOST_OF_ONE", 1)
    answer = api("POST", "/teams/other/keys", as_="admin", json={"name": "member", "role": "member"})
    keys = api.keys["member"], answer.json()["key"]
    opened = [connect() for _ in keys]
    for one, key in zip(opened, keys, strict=True):
        asked = ("GET /events HTTP/1.1", "host: x", "accept: text/event-stream", f"authorization: Bearer {key}")
        one.sendall("\r\n".join([*asked, "", ""]).encode())
        assert one.recv(12) == b"HTTP/1.1 200"


def test_a_stream_ends_with_the_key_that_it_was_asked_for_with(
    connect: Connect, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "LOOK_SECONDS", 0.01)
    made = api("POST", "/teams/research/keys", as_="lead", json={"name": "ci", "role": "viewer"}).json()
    one = connect()
    asked = ("GET /events HTTP/1.1", "host: x", "accept: text/event-stream", f"authorization: Bearer {made['key']}")
    one.sendall("\r\n".join([*asked, "", ""]).encode())
    assert one.recv(12) == b"HTTP/1.1 200"
    api("DELETE", f"/teams/research/keys/{made['id']}", as_="lead")
    stops_at, received = time.monotonic() + 8, b""
    while time.monotonic() < stops_at and not received.endswith(b"0\r\n\r\n"):
        received += one.recv(65536)
    assert received.endswith(b"0\r\n\r\n"), "it goes on"


def test_what_is_left_of_a_refused_body_is_no_next_request(connect: Connect) -> None:
    one = connect()
    length = 2 * edge.MAX_BODY_BYTES
    one.sendall(f"POST /runs HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n".encode())
    assert one.recv(65536).startswith(b"HTTP/1.1 413")
    one.sendall(b"a" * length)
    one.sendall(WHOLE)
    assert one.recv(65536).startswith(b"HTTP/1.1 200")


def test_a_refused_body_that_goes_on_is_left(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEADER_SECONDS", 0.3)
    one = connect()
    one.sendall(b"POST /runs HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999\r\n\r\n")
    assert one.recv(65536).startswith(b"HTTP/1.1 413")
    stops_at = time.monotonic() + 8
    with contextlib.suppress(OSError):
        while time.monotonic() < stops_at:
            one.sendall(b"a")
            time.sleep(0.02)
    assert time.monotonic() < stops_at, "it is still open"
