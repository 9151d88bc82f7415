"""Fetching a script: over real HTTP and HTTPS, with every answer that an address can have in store."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.domain.script import MAX_SCRIPT_BYTES
from service.flow.fetch_script import Fetched, ScriptRefused, ScriptUnreachable, fetch
from tests.shelf import Answer, Shelf, certificate

HERE = ("127.0.0.1",)
SOURCE = "print('hé')\n"


def get(url: str, allowed: tuple[str, ...] = HERE, **more: Any) -> Fetched:
    return asyncio.run(fetch(url, allowed, **more))


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    with Shelf() as shelf:
        yield shelf


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificate(tmp_path_factory.mktemp("tls"), "scripts.test")


@pytest.fixture
def secure_shelf(pem: Path) -> Iterator[Shelf]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    with Shelf(context) as shelf:
        yield shelf


def resolve(monkeypatch: pytest.MonkeyPatch, *answers: str) -> list[str]:
    """Let each look-up of a name give the next of these addresses; the names that were looked up."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def lookup(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        if host in ("scripts.test", "other.test"):
            asked.append(host)
            host = answers[min(len(asked), len(answers)) - 1]
        return real(host, port, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    return asked


def test_a_script_comes_with_its_size_and_its_sha256(shelf: Shelf) -> None:
    found = get(shelf.put("/x.py?raw=1", SOURCE))
    assert found == Fetched(SOURCE, hashlib.sha256(SOURCE.encode()).hexdigest(), 13)


def test_https_is_checked_against_the_name_and_the_name_is_looked_up_once(
    secure_shelf: Shelf, pem: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = resolve(monkeypatch, "127.0.0.1", "10.0.0.1")  # what a rebinding name would say the second time
    secure_shelf.put("/x.py", SOURCE)
    trusting = ssl.create_default_context(cafile=str(pem))
    assert get(secure_shelf.url("/x.py", "scripts.test"), tls=trusting).source == SOURCE
    assert asked == ["scripts.test"]
    assert secure_shelf.asked == [("/x.py", f"scripts.test:{secure_shelf.port}")]
    with pytest.raises(ScriptUnreachable, match="CERTIFICATE_VERIFY_FAILED"):
        get(secure_shelf.url("/x.py"))
    monkeypatch.undo()
    resolve(monkeypatch, "127.0.0.1")
    with pytest.raises(ScriptUnreachable, match=r"other\.test"):  # the certificate is another name's
        get(secure_shelf.url("/x.py", "other.test"), tls=trusting)


def test_a_name_at_a_private_address_is_not_called(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    resolve(monkeypatch, "127.0.0.1")
    with pytest.raises(ScriptRefused, match="not a public address"):
        get(f"https://scripts.test:{shelf.port}/x.py", allowed=())
    assert shelf.asked == []


def test_redirects_are_followed_and_each_is_checked(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    resolve(monkeypatch, "127.0.0.1")
    shelf.put("/x.py", SOURCE)
    shelf.answers["/moved"] = Answer(status=302, headers={"location": "x.py"})
    assert get(shelf.url("/moved")).source == SOURCE
    for target, says in (
        ("http://10.0.0.1/x.py", "redirects to where nothing is read: 10.0.0.1 is not a public address"),
        ("http://scripts.example/x.py", "https"),
        ("https://10.0.0.1/x.py", "not a public address"),
        ("https://169.254.169.254/latest", "not a public address"),
        ("file:///etc/passwd", "https"),
        (f"https://scripts.test:{shelf.port}/x.py", None),  # its address is one of those allowed
    ):
        shelf.answers["/moved"] = Answer(status=307, headers={"location": target})
        with pytest.raises(ScriptRefused if says else ScriptUnreachable, match=says):
            get(shelf.url("/moved"))
    shelf.answers["/round"] = Answer(status=301, headers={"location": "/round"})
    shelf.asked.clear()
    with pytest.raises(ScriptRefused, match="5 redirects"):
        get(shelf.url("/round"))
    assert len(shelf.asked) == 6


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (Answer([b"x" * (MAX_SCRIPT_BYTES + 1)]), "64 KiB"),
        (Answer([b"x" * 1000] * 100_000), "64 KiB"),
        (Answer([b"\xff\xfe"]), "UTF-8"),
        (Answer([b" \n"]), "empty"),
        (Answer([b"\n <!doctype html><html>404"]), "web page"),
        (Answer([b"\xef\xbb\xbf<html>"]), "web page"),
        (Answer([b"\x1f\x8b"], headers={"content-encoding": "gzip"}), "compressed"),
        (Answer(status=404), "HTTP 404"),
        (Answer(status=401), "without any token"),
        (Answer(status=204), "HTTP 204"),
        (Answer(status=302), "HTTP 302 without an address"),
        (Answer(status=302, headers={"location": "https://[/"}), "cannot be read"),
        (Answer(status=302, headers={"location": "https://" + "a" * 70 + ".test/"}), "cannot be read"),
    ],
)
def test_what_is_no_script_is_refused_for_good(shelf: Shelf, answer: Answer, says: str) -> None:
    shelf.answers["/x.py"] = answer
    with pytest.raises(ScriptRefused, match=says):
        get(shelf.url("/x.py"))


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (Answer(status=503), "HTTP 503"),
        (Answer(status=429), "HTTP 429"),
        (Answer([b"print(1)"], length=100), "complete message"),
        (Answer([b"x"] * 100, pause_seconds=0.05), r"0\.3 seconds"),
        (Answer(status=302, headers={"location": "http://127.0.0.1:1/"}), "ConnectError"),
    ],
)
def test_what_may_be_there_later_is_said_to_be(shelf: Shelf, answer: Answer, says: str) -> None:
    shelf.answers["/x.py"] = answer
    with pytest.raises(ScriptUnreachable, match=says):
        get(shelf.url("/x.py"), timeout_seconds=0.3)


@pytest.mark.parametrize("size", [1, MAX_SCRIPT_BYTES])
def test_a_script_of_just_the_limit_is_taken(shelf: Shelf, size: int) -> None:
    assert get(shelf.put("/x.py", "x" * size)).size == size


def test_plain_http_and_this_machine_need_the_operators_word(shelf: Shelf) -> None:
    url = shelf.put("/x.py", SOURCE)
    for allowed in ((), ("10.0.0.0/8",)):
        with pytest.raises(ScriptRefused):
            get(url, allowed)
    assert shelf.asked == []
    assert get(url, ("127.0.0.0/8",)).source == SOURCE
