"""The Hub without a socket: what only a hand-made request can ask."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from service.sandbox.accounts import Accounts
from service.sandbox.cards import metadata
from service.sandbox.gitignore import Gitignore
from service.sandbox.hub import Hub
from service.sandbox.wire import Refusal, Request, Response

NOW = datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)
ALPHABET = b"abcdefghijklmnopqrstuvwxyz"


def ask(
    hub: Hub, method: str, path: str, body: Any = None, token: str | None = "hf_sandbox", **headers: str
) -> Response:
    """One request of a signed-in user, answered at a fixed moment."""
    path, _, query = path.partition("?")
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    if token:
        sent["authorization"] = f"Bearer {token}"
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = hub.handle(Request(method, path, query, sent, raw), NOW)
    assert answer is not None
    return answer


def commit_body(*lines: tuple[str, dict[str, Any]], **header: str) -> bytes:
    """The ndjson body of a commit."""
    everything = (("header", {"summary": "a commit", "description": "", **header}), *lines)
    return b"".join(json.dumps({"key": key, "value": value}).encode() + b"\n" for key, value in everything)


def file(path: str, content: bytes) -> tuple[str, dict[str, Any]]:
    """The line of a file that travels inside the commit."""
    return "file", {"path": path, "content": base64.b64encode(content).decode(), "encoding": "base64"}


@pytest.fixture
def hub() -> Hub:
    hub = Hub(Accounts())
    hub.publish("model", "acme/letters", {"abc.txt": ALPHABET, "folder/empty.txt": b""}, NOW)
    return hub


def test_paths_of_others_are_left_to_others(hub: Hub) -> None:
    for method, path in (
        ("GET", "/api/jobs/sandbox"),
        ("GET", "/api/whoami-v2"),
        ("GET", "/"),
        ("GET", "/api/models/acme/letters/no-such-verb/main"),
        ("GET", "/acme/letters"),
        ("PATCH", "/api/models/acme/letters"),
    ):
        assert hub.handle(Request(method, path), NOW) is None, path


@pytest.mark.parametrize(
    ("asked", "answered", "content_range"),
    [
        ("bytes=0-4", b"abcde", "bytes 0-4/26"),
        ("bytes=20-", b"uvwxyz", "bytes 20-25/26"),
        ("bytes=-3", b"xyz", "bytes 23-25/26"),
        ("bytes=24-900", b"yz", "bytes 24-25/26"),
        ("bytes=-900", ALPHABET, "bytes 0-25/26"),
    ],
)
def test_a_part_of_a_file(hub: Hub, asked: str, answered: bytes, content_range: str) -> None:
    answer = ask(hub, "GET", "/acme/letters/resolve/main/abc.txt", range=asked)
    assert (answer.status, answer.body) == (206, answered)
    assert answer.headers["content-range"] == content_range
    assert answer.headers["content-length"] == str(len(answered))


@pytest.mark.parametrize("asked", ["bytes=0-1,4-5", "lines=1-2", "bytes=-", ""])
def test_other_range_forms_give_the_whole_file(hub: Hub, asked: str) -> None:
    answer = ask(hub, "GET", "/acme/letters/resolve/main/abc.txt", range=asked)
    assert (answer.status, answer.body) == (200, ALPHABET)


@pytest.mark.parametrize(
    ("name", "asked"), [("abc.txt", "bytes=26-"), ("abc.txt", "bytes=9-3"), ("folder/empty.txt", "bytes=0-")]
)
def test_a_range_outside_the_file_is_416(hub: Hub, name: str, asked: str) -> None:
    with pytest.raises(Refusal) as refusal:
        ask(hub, "GET", f"/acme/letters/resolve/main/{name}", range=asked)
    assert refusal.value.status == 416


def test_head_tells_the_size_and_sends_nothing(hub: Hub) -> None:
    answer = ask(hub, "HEAD", "/acme/letters/resolve/main/abc.txt", token=None)
    assert answer.body == b""
    assert answer.headers["content-length"] == "26"
    assert answer.headers["x-repo-commit"] == hub.repo("model", "acme/letters").head.sha
    # the value `git hash-object` gives
    assert answer.headers["etag"] == '"e85d5b45283ac8eee1a921bba21554484a4d7de8"'


def test_gating_from_code(hub: Hub) -> None:
    hub.gate("acme/letters")
    with pytest.raises(Refusal) as refusal:
        ask(hub, "GET", "/acme/letters/resolve/main/abc.txt", token=None)
    assert (refusal.value.status, refusal.value.code) == (401, "GatedRepo")
    assert ask(hub, "GET", "/acme/letters/resolve/main/abc.txt").status == 200


def test_a_users_own_repos_share_a_path_with_the_sandbox(hub: Hub) -> None:
    for name in ("repos", "lfs", "xet", "v1"):
        hub.publish("model", f"sandbox/{name}", {"v1/a": b"a"}, NOW)
        assert ask(hub, "GET", f"/sandbox/{name}/resolve/main/v1/a").body == b"a"


def test_the_same_requests_make_the_same_hub() -> None:
    def play(second: datetime) -> dict[str, dict[str, Any]]:
        hub = Hub(Accounts())
        ask(hub, "POST", "/api/repos/create", {"name": "m", "organization": "acme"})
        ask(hub, "POST", "/api/models/acme/m/commit/main", commit_body(file("a", b"1")))
        hub.publish("model", "acme/m", {"b": b"2"}, second)
        return hub.snapshot()

    assert play(NOW) == play(NOW)
    assert play(NOW)["acme/m"]["sha"] != play(NOW + timedelta(seconds=1))["acme/m"]["sha"]
    assert play(NOW)["acme/m"] | {"sha": ""} == {
        "sha": "",
        "commits": 3,
        "files": [".gitattributes", "a", "b"],
        "private": False,
        "gated": False,
    }


def test_dates_are_the_callers(hub: Hub) -> None:
    info = json.loads(ask(hub, "GET", "/api/models/acme/letters").body)
    assert info["lastModified"] == info["createdAt"] == "2026-03-01T12:00:00.250Z"


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b"{not json}\n", 400, "not JSON"),
        (b'["a list"]\n', 400, "a key and a value"),
        (b"", 400, "header"),
        (commit_body(("file", {"path": "../up", "content": ""})), 400, "Invalid path"),
        (commit_body(("file", {"path": ".git/config", "content": ""})), 400, "Invalid path"),
        (commit_body(("file", {"path": "/etc/x", "content": ""})), 400, "Invalid path"),
        (commit_body(("file", {"path": "x", "content": "%%", "encoding": "base64"})), 400, "base64"),
        (commit_body(("file", {"path": "x", "content": 7})), 400, "string"),
        (commit_body(("fly", {"path": "x"})), 400, "Unknown commit operation"),
        (commit_body(file("abc.txt/inside", b"")), 400, "both a file and a folder"),
        (commit_body(("lfsFile", {"path": "x", "oid": "0" * 64})), 400, "does not exist"),
        (commit_body(("deletedFile", {"path": "nothing"})), 404, "doesn't exist"),
        (commit_body(("deletedFolder", {"path": "abc.txt"})), 404, "doesn't exist"),
        (commit_body(parentCommit="0" * 40), 412, "A commit has happened since"),
    ],
)
def test_a_commit_that_cannot_be_applied_changes_nothing(hub: Hub, body: bytes, status: int, says: str) -> None:
    before = hub.snapshot()
    with pytest.raises(Refusal) as refusal:
        ask(hub, "POST", "/api/models/acme/letters/commit/main", body)
    assert refusal.value.status == status
    assert says in refusal.value.message
    assert hub.snapshot() == before


def test_a_folder_can_be_replaced_by_a_file_in_one_commit(hub: Hub) -> None:
    body = commit_body(file("folder", b"now a file"), ("deletedFolder", {"path": "folder/"}))
    ask(hub, "POST", "/api/models/acme/letters/commit/main", body)
    assert hub.snapshot()["acme/letters"]["files"] == [".gitattributes", "abc.txt", "folder"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/repos/create", b"nonsense"),
        ("/api/repos/create", []),
        ("/api/repos/create", {"name": ""}),
        ("/api/repos/create", {"name": "x", "type": "boat"}),
        ("/api/repos/create", {"name": "-bad-"}),
        ("/api/repos/create", {"name": "bad..name"}),
        ("/api/repos/create", {"name": "x.git"}),
        ("/api/models/acme/letters/preupload/main", {"files": "abc.txt"}),
        ("/api/models/acme/letters/branch/bad..name", {}),
        ("/api/models/acme/letters/tag/main", {"tag": "refs/pr/1"}),
        ("/acme/letters.git/info/lfs/objects/batch", {"operation": "upload", "objects": [{"oid": "x", "size": 1}]}),
        ("/sandbox/repos/models/acme/letters", {"gated": "maybe"}),
        ("/sandbox/repos/models/acme/letters", {"refuse_commits": {"status": 200}}),
    ],
)
def test_bad_input_is_400(hub: Hub, path: str, body: Any) -> None:
    with pytest.raises(Refusal) as refusal:
        ask(hub, "POST", path, body)
    assert refusal.value.status == 400


def test_large_files_must_be_announced_and_arrive_whole(hub: Hub) -> None:
    oid = "71c480df93d6ae2f1efad1447c66c9525e316218cf51fc8d9ed832f2daf18b73"  # sha256sum of the alphabet
    put = f"/sandbox/lfs/models/acme/letters/{oid}"
    with pytest.raises(Refusal) as refusal:
        ask(hub, "PUT", put, ALPHABET, token=None)
    assert refusal.value.status == 403
    batch = {"operation": "upload", "objects": [{"oid": oid, "size": 26}]}
    first = json.loads(ask(hub, "POST", "/acme/letters.git/info/lfs/objects/batch", batch).body)["objects"][0]
    assert first["actions"]["upload"]["href"] == f"http://sandbox{put}"
    with pytest.raises(Refusal) as refusal:
        ask(hub, "PUT", put, ALPHABET[:-1], token=None)
    assert refusal.value.status == 400
    with pytest.raises(Refusal) as refusal:
        ask(hub, "POST", "/acme/letters.git/info/lfs/objects/verify", {"oid": oid, "size": 26})
    assert refusal.value.status == 404
    ask(hub, "PUT", put, ALPHABET, token=None)
    ask(hub, "POST", "/acme/letters.git/info/lfs/objects/verify", {"oid": oid, "size": 26})
    again = json.loads(ask(hub, "POST", "/acme/letters.git/info/lfs/objects/batch", batch).body)
    assert again["objects"] == [{"oid": oid, "size": 26}]


@pytest.mark.parametrize(
    ("rules", "path", "ignored"),
    [
        ("*.log", "train.log", True),
        ("*.log", "deep/down/train.log", True),
        ("*.log", "train.logs", False),
        ("/top", "top", True),
        ("/top", "sub/top", False),
        ("checkpoint-*/", "checkpoint-12/model.bin", True),
        ("checkpoint-*/", "checkpoint-12", False),
        ("runs/**", "runs/a/b", True),
        ("**/cache", "a/b/cache/x", True),
        ("a/*.txt", "a/b.txt", True),
        ("a/*.txt", "a/b/c.txt", False),
        ("*.txt\n!keep.txt", "keep.txt", False),
        ("out/\n!out/keep.txt", "out/keep.txt", True),
        ("# *.txt\n\n", "a.txt", False),
        ("a.c", "abc", False),
        ("?.md", "x.md", True),
    ],
)
def test_gitignore_rules(rules: str, path: str, ignored: bool) -> None:
    assert Gitignore(rules).match(path) is ignored


def test_card_metadata() -> None:
    assert metadata("---\nlicense: mit\n---\n# Title") == {"license": "mit"}
    assert metadata("# Only a title\n---\nlicense: mit\n---\n") == {}
    assert metadata("---\n---\n") == {}
    assert metadata("---\r\ntitle: a --- b\r\n---\r\n") == {"title": "a --- b"}
    assert metadata("---\nlicense: mit\n") == {}
    for broken in ("---\na: [1\n---\n", "---\n- a\n- b\n---\n"):
        with pytest.raises(ValueError, match=r"metadata"):
            metadata(broken)
