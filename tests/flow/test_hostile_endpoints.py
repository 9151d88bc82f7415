"""Receivers that mean harm, or that nobody looks after: none costs more than its ten seconds, none is followed to where
the outside must not reach, and none delays anybody else."""

from __future__ import annotations

import asyncio
import gzip
import socket
import ssl
import threading
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.domain.endpoint import Kind
from service.flow import deliver, notify
from service.flow.checked_call import ForbiddenTarget, checked_call
from service.flow.letter import Letter
from service.flow.lookups import Lookups
from tests.flow.conftest import World
from tests.flow.endpoints import SECRET, deliveries, send_all, subscribe
from tests.hostile import Behaviour, Hostile, certificate
from tests.receiver import Receiver

METADATA = "http://169.254.169.254/latest/meta-data/iam/security-credentials/"
GIGABYTE = 2**30
sent: dict[str, int] = {}


def wait(_connection: socket.socket, over: threading.Event) -> None:
    over.wait(20)


def saying(text: bytes, then: Behaviour | None = None) -> Behaviour:
    def behave(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(text)
        if then is not None:
            then(connection, over)

    return behave


def drip(text: bytes) -> Behaviour:
    """A byte at a time, for ever."""

    def behave(connection: socket.socket, over: threading.Event) -> None:
        while not over.wait(0.02):
            for byte in text:
                connection.sendall(bytes([byte]))
                if over.wait(0.02):
                    return

    return behave


def pour(name: str, portion: bytes) -> Behaviour:
    """A gigabyte, or as much of it as is taken."""

    def behave(connection: socket.socket, over: threading.Event) -> None:
        sent[name] = 0
        while sent[name] < GIGABYTE and not over.is_set():
            sent[name] += connection.send(portion)

    return behave


OK = b"HTTP/1.1 200 OK\r\n"
BOMB = gzip.compress(bytes(64 * 2**20))
# What each does, what is noted of it, and whether the letter counts as delivered: it does where a 2xx came in time,
# whatever follows it.
HOSTILE: dict[str, tuple[Behaviour, int | None, str | None, bool]] = {
    "hangs": (wait, None, "no answer within", False),
    "hangs in its headers": (saying(OK + b"x-a: ", wait), None, "no answer within", False),
    "drips headers": (saying(OK, drip(b"x-a: b\r\n")), None, "no answer within", False),
    "says continue for ever": (drip(b"HTTP/1.1 100 Continue\r\n\r\n"), None, "no answer within", False),
    "has endless headers": (saying(OK, pour("headers", b"x-a: " + b"b" * 65536)), None, "ProtocolError", False),
    "speaks no HTTP": (saying(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"), None, "ProtocolError", False),
    "says nothing": (saying(b""), None, "ProtocolError", False),
    "redirects to metadata": (
        saying(b"HTTP/1.1 307 Temporary Redirect\r\nlocation: " + METADATA.encode() + b"\r\ncontent-length: 0\r\n\r\n"),
        307,
        "not followed",
        False,
    ),
    "changes the protocol": (
        saying(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n", wait),
        None,
        "ProtocolError",
        False,
    ),
    "answers a gigabyte of trouble": (
        saying(b"HTTP/1.1 500 Oh\r\ncontent-length: 1073741824\r\n\r\n", pour("body", b"x" * 65536)),
        500,
        None,
        False,
    ),
    "answers a gigabyte": (
        saying(OK + b"content-length: 1073741824\r\n\r\n", pour("good body", b"x" * 65536)),
        200,
        None,
        True,
    ),
    "answers a packed bomb": (
        saying(OK + b"content-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(BOMB) + BOMB),
        200,
        None,
        True,
    ),
    "drips its body": (saying(OK + b"content-length: 100000\r\n\r\n", drip(b"thanks ")), 200, None, True),
    "breaks off": (saying(OK + b"content-length: 100\r\n\r\nthanks"), 200, None, True),
}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> float:
    """The deadline of each try, shortened."""
    monkeypatch.setattr(deliver, "TIMEOUT_SECONDS", 3)
    monkeypatch.setattr(deliver, "TEXT_SECONDS", 1)
    return 3


@pytest.fixture
def hostile() -> Iterator[dict[str, Hostile]]:
    with ExitStack() as stack:
        yield {name: stack.enter_context(Hostile(behave)) for name, (behave, *_) in HOSTILE.items()}


def test_none_costs_more_than_its_deadline_and_a_healthy_one_beside_them_waits_for_none(
    world: World, hostile: dict[str, Hostile], quick: float
) -> None:
    with Receiver() as healthy:
        arrived: list[float] = []
        healthy.answer = lambda _letter: arrived.append(time.monotonic()) or (204, {})  # type: ignore[func-returns-value]
        of = {name: subscribe(world, server.url, events=("run.queued",)) for name, server in hostile.items()}
        subscribe(world, healthy.url, events=("run.queued",))  # the last in line
        world.enqueue()
        world.enqueue()
        began = time.monotonic()
        notify.run_once(world.gate)
        took = time.monotonic() - began
    assert len(arrived) == 2
    assert arrived[-1] - began < quick / 2
    assert took < quick * 3  # two letters to each
    for name, (_, status, error, is_delivered) in HOSTILE.items():
        first = deliveries(world, of[name])[0]
        told = (name, first.last_status, first.last_error, first.last_response)
        assert first.last_status == status, told
        assert (error or "") in (first.last_error or ""), told
        assert (first.state == "delivered") == is_delivered, told
        assert first.last_latency_ms is not None, told
        assert first.last_latency_ms < quick * 1500, told
        assert len(first.last_response or "") <= deliver.MAX_RESPONSE_BYTES, told
    assert deliveries(world, of["answers a packed bomb"])[0].last_response == (
        "(packed as gzip, which was not asked for)"
    )
    assert deliveries(world, of["drips its body"])[0].last_response.startswith("thanks")  # type: ignore[union-attr]
    assert max(sent.values()) < 32 * 2**20  # what the system's buffers hold at the most, and no gigabyte


def test_a_packed_answer_is_never_unpacked() -> None:
    answer = saying(OK + b"content-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(BOMB) + BOMB)
    with Hostile(answer) as server:

        async def send() -> deliver.Outcome:
            tracemalloc.start()
            return await deliver.deliver(letter_to(server.url), ["127.0.0.1"])

        try:
            outcome = asyncio.run(send())
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert outcome.status == 200
    assert most < 8 * 2**20


def test_a_redirect_leads_nowhere(world: World) -> None:
    with Hostile(saying(OK + b"content-length: 0\r\n\r\n")) as inside:
        location = b"location: " + inside.url.encode()
        for code in (301, 302, 303, 307, 308):
            answer = saying(b"HTTP/1.1 %d Elsewhere\r\n%s\r\ncontent-length: 0\r\n\r\n" % (code, location))
            with Hostile(answer) as server:
                endpoint_id = subscribe(world, server.url, events=("run.queued",))
                world.cancel(world.enqueue())
                notify.run_once(world.gate)
            delivery = deliveries(world, endpoint_id)[0]
            assert (delivery.state, delivery.last_status) == ("pending", code)
        assert inside.connections == 0


def test_many_dead_endpoints_with_backlogs_leave_room_for_a_healthy_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliver, "TIMEOUT_SECONDS", 2)
    monkeypatch.setattr(notify, "MOST_UNDER_WAY", 8)
    monkeypatch.setattr(notify, "MOST_FAILING", 4)
    with Hostile(wait) as dead, Receiver() as healthy:
        failing = [subscribe(world, dead.url, events=("run.queued",), failing_since=world.clock.now) for _ in range(6)]
        subscribe(world, healthy.url, events=("run.queued",))
        for _ in range(3):
            world.enqueue()
        sending = threading.Thread(target=notify.run_once, args=(world.gate,))
        began = time.monotonic()
        sending.start()
        while len(healthy.letters) < 3:
            assert time.monotonic() - began < 1
            time.sleep(0.01)
        assert dead.connections <= 4
        sending.join(60)
    assert all(deliveries(world, endpoint_id)[0].tries for endpoint_id in failing)


def test_a_name_that_hangs_keeps_only_its_own_endpoint_waiting(world: World, quick: float) -> None:
    over = threading.Event()
    asked: list[str] = []

    def find(host: str, _port: int) -> list[str]:
        asked.append(host)
        if host.endswith(".test"):
            over.wait(20)
        return [host]

    world.gate = replace(world.gate, lookups=Lookups(find))
    with Receiver() as healthy:
        arrived: list[float] = []
        healthy.answer = lambda _letter: arrived.append(time.monotonic()) or (204, {})  # type: ignore[func-returns-value]
        hanging = [subscribe(world, f"https://n{n}.test/", events=("run.queued",)) for n in range(40)]
        subscribe(world, healthy.url, events=("run.queued",))
        world.enqueue()
        began = time.monotonic()
        send_all(world)
    over.set()
    assert arrived[0] - began < quick / 2
    for endpoint_id in hanging:
        assert "no answer within" in (deliveries(world, endpoint_id)[0].last_error or "")
    assert len(asked) == 40  # what is an address already is not looked up


def letter_to(url: str) -> Letter:
    return Letter(Kind.STANDARD, "evt_1", url, "", b"{}", datetime.now(UTC), (SECRET,))


def test_a_name_that_changes_its_mind_is_connected_to_where_it_was_checked(tmp_path: Path) -> None:
    _, server_tls, client_tls = certificate(tmp_path, "rebind.test", datetime.now(UTC))
    answers = [["127.0.0.5"], ["127.0.0.6"], ["127.0.0.6"]]
    asked: list[str] = []

    def find(host: str, _port: int) -> list[str]:
        asked.append(host)
        return answers[len(asked) - 1]

    async def send(url: str) -> deliver.Outcome:
        return await deliver.deliver(letter_to(url), ["127.0.0.5"], Lookups(find), client_tls)

    good = saying(OK + b"content-length: 0\r\n\r\n")
    with (
        Hostile(good, "127.0.0.5", 8443, server_tls) as checked,
        Hostile(good, "127.0.0.6", 8443, server_tls) as inside,
    ):
        first = asyncio.run(send("https://rebind.test:8443/hook"))
        assert (first.status, first.error) == (200, None)
        assert asked == ["rebind.test"]  # once
        assert (checked.connections, inside.connections) == (1, 0)
        assert b"host: rebind.test:8443\r\n" in checked.requests[0].lower()
        second = asyncio.run(send("https://rebind.test:8443/hook"))
        assert second.status is None
        assert "127.0.0.6, which is not a public address" in (second.error or "")
        other_name = asyncio.run(send_to_other_name(client_tls))
        assert "certificate" in (other_name.error or "").lower()  # the certificate is the name's, not the address's
        assert inside.connections == 0


async def send_to_other_name(tls: ssl.SSLContext) -> deliver.Outcome:
    lookups = Lookups(lambda _host, _port: ["127.0.0.5"])
    return await deliver.deliver(letter_to("https://other.test:8443/"), ["127.0.0.5"], lookups, tls)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:0:169.254.169.254",
        "::169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::a9fe:a9fe",
        "2002:a9fe:a9fe::",
        "2001:0:a9fe:a9fe::",
        "fe80::1%lo",
        "fd00:ec2::254",
        "fec0::1",
        "ff02::1",
    ],
)
def test_no_name_leads_inside(address: str) -> None:
    for found in ([address], ["93.184.216.34", address]):
        lookups = Lookups(lambda _host, _port, found=found: found)  # type: ignore[misc]
        with pytest.raises(ForbiddenTarget, match="not a public address"):
            asyncio.run(checked_call("POST", "https://innocent.example/", {}, (), b"", lookups))


def test_what_was_allowed_once_is_not_sent_to_any_more(world: World) -> None:
    with Receiver() as receiver:
        subscribe(world, receiver.url, events=("run.queued",))
        world.limit(webhook_allowed_targets=())
        world.enqueue()
        send_all(world)
        assert not receiver.letters
    assert "not a public address" in (deliveries(world)[0].last_error or "")
