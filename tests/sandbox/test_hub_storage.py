"""Files that travel ahead of the commit: by Xet with the real hf_xet, by LFS without it."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.sandbox.accounts import Accounts
from service.sandbox.hub import Hub
from service.sandbox.lz4 import MAGIC, read_frame
from service.sandbox.repos import Repo
from service.sandbox.wire import Refusal, Request
from service.sandbox.xet_formats import read_shard, read_xorb
from tests.sandbox.hub_clients import ServedHub, serve_hub

PUSH = """
import pathlib, sys
from huggingface_hub import HfApi
from huggingface_hub.hf_api import is_xet_available
api, (repo_id, folder, xet) = HfApi(), sys.argv[1:]
assert is_xet_available() == (xet == "on"), is_xet_available()
folder = pathlib.Path(folder)
first = api.upload_folder(folder_path=folder, repo_id=repo_id)
assert api.upload_folder(folder_path=folder, repo_id=repo_id).oid == first.oid
info = api.model_info(repo_id, files_metadata=True)
sizes = {item.rfilename: item.lfs.size for item in info.siblings if item.lfs}
files = [path for path in folder.rglob("*") if path.is_file()]
assert sizes == {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}, sizes
for path in files:
    copy = api.hf_hub_download(repo_id, path.relative_to(folder).as_posix())
    assert pathlib.Path(copy).read_bytes() == path.read_bytes(), path
"""


@pytest.fixture(scope="module")
def served() -> Iterator[ServedHub]:
    with serve_hub() as served:
        yield served


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files that hf_xet packs in each of its ways: as they are, by LZ4, by LZ4 after grouping the bytes of numbers."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "noise.bin").write_bytes(os.urandom(900_000))
    (tmp_path / "sub" / "words.txt").write_bytes(b"".join(b"line %d of many\n" % n for n in range(20_000)))
    (tmp_path / "model.safetensors").write_bytes(struct.pack("<150000f", *(1 + n / 1e6 for n in range(150_000))))
    (tmp_path / "small.txt").write_text("small")
    return tmp_path


def push(served: ServedHub, home: Path, repo_id: str, folder: Path, **env: str) -> list[str]:
    """Push a folder to a new repository that asks for large files; the paths that were called."""
    served.hub.publish("model", repo_id, {}, datetime.now(UTC))
    served.switch(f"models/{repo_id}", lfs=True)
    served.requests.clear()
    xet = "off" if "HF_HUB_DISABLE_XET" in env else "on"
    done = served.python(home, PUSH, repo_id, str(folder), xet, **env)
    assert done.returncode == 0, done.stderr
    return [path for _, path, status in served.requests if status < 400]


def repo_of(served: ServedHub, repo_id: str) -> Repo:
    return served.hub.repo("model", repo_id)


def test_lfs_with_xet_off(served: ServedHub, home: Path, folder: Path) -> None:
    called = push(served, home, "acme/by-lfs", folder, HF_HUB_DISABLE_XET="1")
    assert sum(path.startswith("/sandbox/lfs/") for path in called) == 4
    assert not any("xet" in path for path in called)
    assert repo_of(served, "acme/by-lfs").announced == {}


def test_xet(served: ServedHub, home: Path, folder: Path) -> None:
    called = push(served, home, "acme/by-xet", folder)
    assert any("/v1/xorbs/" in path for path in called)
    assert not any("lfs" in path for path in called)

    # a client may name chunks that it has uploaded before, for another repository
    (folder / "noise.bin").write_bytes((folder / "noise.bin").read_bytes() + b"one more line")
    push(served, home, "acme/by-xet-again", folder)
    blobs = [repo_of(served, name).head.tree["noise.bin"] for name in ("acme/by-xet", "acme/by-xet-again")]
    assert [len(blob.data) for blob in blobs] == [900_000, 900_013]


def test_a_new_sandbox_is_not_taken_for_the_old_one(home: Path, folder: Path) -> None:
    with serve_hub() as served:
        push(served, home, "acme/afresh", folder)
        port = int(served.address.rpartition(":")[2])
    with serve_hub(port) as served:
        push(served, home, "acme/afresh", folder)


def test_files_of_more_than_ten_mib_travel_ahead_of_the_commit() -> None:
    hub, now = Hub(Accounts()), datetime(2026, 3, 1, tzinfo=UTC)
    hub.publish("model", "acme/m", {}, now)
    files = [{"path": f"{size}.jsonl", "size": size, "sample": ""} for size in (10 * 2**20, 10 * 2**20 + 1)]
    headers, body = {"authorization": "Bearer hf_sandbox"}, json.dumps({"files": files}).encode()
    answer = hub.handle(Request("POST", "/api/models/acme/m/preupload/main", headers=headers, body=body), now)
    assert answer is not None
    assert [one["uploadMode"] for one in json.loads(answer.body)["files"]] == ["regular", "lfs"]


def test_xet_storage_takes_nothing_from_strangers() -> None:
    hub, now = Hub(Accounts()), datetime(2026, 3, 1, tzinfo=UTC)
    hub.publish("model", "acme/m", {}, now)
    read = {"authorization": "Bearer hf_sandbox_read"}
    for headers, status in (({}, 401), (read, 403)):
        with pytest.raises(Refusal) as refusal:
            hub.handle(Request("GET", "/api/models/acme/m/xet-write-token/main", headers=headers), now)
        assert refusal.value.status == status
    for path in ("/sandbox/xet/1/v1/xorbs/default/00", "/sandbox/xet/1/v1/shards"):
        with pytest.raises(Refusal) as refusal:
            hub.handle(Request("POST", path, headers={"authorization": "Bearer xet_guess"}), now)
        assert refusal.value.status == 401
    assert hub.handle(Request("POST", "/sandbox/xet/1/v2/shards"), now) is None


def frame(*blocks: bytes, flags: int = 0x60) -> bytes:
    """An LZ4 frame around blocks, put together by hand."""
    sized = b"".join(struct.pack("<I", len(block)) + block for block in blocks)
    return MAGIC + bytes([flags, 0x40, 0]) + sized + bytes(4)


@pytest.mark.parametrize(
    ("block", "content"),
    [
        (b"\x50hello", b"hello"),
        (b"\x32abc\x03\x00\x10z", b"abcabcabcz"),  # a copy of 6 bytes from 3 back overlaps itself
        (b"\x1fa\x01\x00\xff\x00\x00", b"a" + b"a" * (15 + 255 + 4)),  # a length that goes on in further bytes
        (b"\xf0\x05" + b"x" * 20, b"x" * 20),
    ],
)
def test_lz4(block: bytes, content: bytes) -> None:
    assert read_frame(frame(block)) == content


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"PK\x03\x04 something else",
        frame(b"\x50hello")[:-8],
        frame(b"\x32abc\x09\x00"),  # copies from before the beginning
        frame(b"\x32abc\x00\x00"),  # copies from nowhere
        frame(b"\x32abc\x03"),  # cut off within the distance
        frame(b"\xf0"),  # cut off within a length
    ],
)
def test_broken_lz4(broken: bytes) -> None:
    with pytest.raises(ValueError, match="LZ4"):
        read_frame(broken)


def test_broken_xorbs_and_shards() -> None:
    for xorb in (b"\x00\x05\x00\x00\x00\x06\x00\x00hello", b"\x00\x05\x00\x00\x09\x05\x00\x00hello"):
        with pytest.raises(ValueError, match=r"chunk|scheme"):
            read_xorb(xorb)
    assert read_xorb(b"\x00\x05\x00\x00\x00\x05\x00\x00helloXETBLOB the footer") == [b"hello"]
    for shard in (b"", bytes(48), bytes(48) + bytes(32) + struct.pack("<IIQ", 0, 3, 0)):
        with pytest.raises(ValueError, match="cut off"):
            list(read_shard(shard))
