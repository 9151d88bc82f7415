"""Buckets by the real huggingface_hub with Xet, and what only a hand-made request can ask."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from huggingface_hub import BucketFile, BucketFolder, HfApi, HfFileSystem
from huggingface_hub.errors import BucketNotFoundError, EntryNotFoundError, HfHubHTTPError

from service.sandbox.buckets import Bucket
from service.sandbox.core import Sandbox
from service.sandbox.wire import Request
from service.sandbox.xet_reads import PIECE
from tests.sandbox.hub_clients import OWNER, READER, STRANGER, ServedHub, api_of, move_library, serve_hub
from tests.sandbox.job_clients import START, Desk

FILES = {"a.txt": b"content", "logs/1.txt": b"one", "logs/deep/2.txt": b"two", "logs2/3.txt": b"", "z.bin": b"\0" * 300}


@pytest.fixture(scope="module")
def served() -> Iterator[ServedHub]:
    with serve_hub() as served:
        yield served


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    return move_library(tmp_path_factory.mktemp("home"), monkeypatch)


@pytest.fixture
def api(served: ServedHub) -> HfApi:
    return api_of(served, OWNER)


@pytest.fixture
def bucket(served: ServedHub, request: pytest.FixtureRequest) -> Bucket:
    """A bucket with the files that a job would have written."""
    bucket = served.hub.buckets.add(f"acme/{request.node.name.split('[')[0][-60:]}", START)
    for path, content in FILES.items():
        place = bucket.folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    return bucket


def status_of(refusal: pytest.ExceptionInfo[HfHubHTTPError]) -> int:
    return refusal.value.response.status_code


def test_a_bucket_is_created_described_listed_and_deleted(served: ServedHub, api: HfApi) -> None:
    made = api.create_bucket("acme/first", private=True)
    assert (made.bucket_id, made.url) == ("acme/first", f"{served.address}/buckets/acme/first")
    with pytest.raises(HfHubHTTPError) as refusal:
        api.create_bucket("acme/first")
    assert status_of(refusal) == 409
    assert api.create_bucket("acme/first", exist_ok=True) == made
    info = api.bucket_info("acme/first")
    assert (info.id, info.private, info.size, info.total_files) == ("acme/first", True, 0, 0)
    assert api.create_bucket("mine").bucket_id == "sandbox/mine"
    assert [one.id for one in api.list_buckets()] == ["sandbox/mine"]
    assert [one.id for one in api.list_buckets("acme", search="FIRST")] == ["acme/first"]
    api.delete_bucket("acme/first")
    with pytest.raises(BucketNotFoundError):
        api.bucket_info("acme/first")
    with pytest.raises(BucketNotFoundError):
        api.delete_bucket("acme/first")
    api.delete_bucket("acme/first", missing_ok=True)


def test_who_may_do_what(served: ServedHub, api: HfApi) -> None:
    api.create_bucket("acme/secret", private=True)
    api.create_bucket("acme/open")
    reader, stranger, nobody = (api_of(served, token) for token in (READER, STRANGER, False))
    assert reader.bucket_info("acme/secret").private
    assert nobody.bucket_info("acme/open").id == "acme/open"
    with pytest.raises(BucketNotFoundError):
        stranger.bucket_info("acme/secret")
    with pytest.raises(BucketNotFoundError) as refusal:
        nobody.bucket_info("acme/secret")
    assert status_of(refusal) == 401
    assert {one.id for one in stranger.list_buckets("acme")} == {"acme/open"}
    for other, status in ((reader, 403), (stranger, 403), (nobody, 401)):
        for act in (
            lambda other=other: other.create_bucket("acme/new"),
            lambda other=other: other.delete_bucket("acme/open"),
            lambda other=other: other.update_bucket_settings("acme/open", private=True),
            lambda other=other: other.batch_bucket_files("acme/open", delete=["a.txt"]),
        ):
            with pytest.raises(HfHubHTTPError) as refused:
                act()
            assert status_of(refused) == status
    api.update_bucket_settings("acme/open", private=True)
    assert api.bucket_info("acme/open").private


def test_files_that_a_job_wrote_are_listed(api: HfApi, bucket: Bucket) -> None:
    info = api.bucket_info(bucket.id)
    assert (info.size, info.total_files) == (sum(map(len, FILES.values())), len(FILES))
    every = list(api.list_bucket_tree(bucket.id, recursive=True))
    assert [(one.path, one.size) for one in every if isinstance(one, BucketFile)] == [
        (path, len(content)) for path, content in sorted(FILES.items())
    ]
    assert len(every) == len(FILES), "no folders"
    top = {one.path: type(one) for one in api.list_bucket_tree(bucket.id)}
    assert top == {"a.txt": BucketFile, "logs": BucketFolder, "logs2": BucketFolder, "z.bin": BucketFile}
    below = [one.path for one in api.list_bucket_tree(bucket.id, "logs")]
    assert below == ["logs/1.txt", "logs/deep", "logs2/3.txt"], "the prefix is text"
    assert [one.path for one in api.list_bucket_tree(bucket.id, "logs/")] == ["logs/1.txt", "logs/deep"]
    assert not list(api.list_bucket_tree(bucket.id, "none"))
    assert [one.path for one in api.get_bucket_paths_info(bucket.id, ["z.bin", "logs", "../x", "no"])] == ["z.bin"]


def test_a_tree_comes_in_pages(served: ServedHub, api: HfApi, bucket: Bucket) -> None:
    for number in range(1001):
        (bucket.folder / f"logs/{number:04d}").touch()
    before = len(served.requests)
    paths = [one.path for one in api.list_bucket_tree(bucket.id, "logs", recursive=True)]
    assert len(paths) == len(set(paths)) == 1004
    assert len(served.requests) - before == 2
    page = httpx2.get(f"{served.address}/api/buckets/{bucket.id}/tree?limit=2")
    assert [one["path"] for one in page.json()] == ["a.txt", "logs"]
    assert [one["path"] for one in httpx2.get(page.links["next"]["url"]).json()] == ["logs2", "z.bin"]


def test_files_are_read_over_plain_http(served: ServedHub, bucket: Bucket, tmp_path: Path) -> None:
    place = f"{served.address}/buckets/{bucket.id}/resolve"
    assert httpx2.get(f"{place}/logs%2Fdeep%2F2.txt").content == b"two"
    part = httpx2.get(f"{place}/a.txt", headers={"range": "bytes=3-4"})
    assert (part.status_code, part.content, part.headers["content-range"]) == (206, b"te", "bytes 3-4/7")
    files = HfFileSystem(endpoint=served.address, token=OWNER)
    assert files.read_bytes(f"buckets/{bucket.id}/logs/1.txt") == b"one"
    assert set(files.glob(f"buckets/{bucket.id}/logs/**/*.txt")) == {
        f"buckets/{bucket.id}/logs/1.txt",
        f"buckets/{bucket.id}/logs/deep/2.txt",
    }
    for path in ("none", "logs", "..%2F..%2F..%2Fa.txt", "%00"):
        assert httpx2.get(f"{place}/{path}").headers["x-error-code"] == "EntryNotFound"


def test_files_are_downloaded_by_xet(api: HfApi, bucket: Bucket, tmp_path: Path) -> None:
    large = os.urandom(PIECE + 100_000)
    (bucket.folder / "logs/large.bin").write_bytes(large)
    wanted = ["a.txt", "logs2/3.txt", "logs/large.bin"]
    api.download_bucket_files(bucket.id, [(path, tmp_path / path) for path in wanted])
    assert [(tmp_path / path).read_bytes() for path in wanted] == [b"content", b"", large]
    with pytest.raises(EntryNotFoundError):
        api.download_bucket_files(bucket.id, [("no", tmp_path / "no")], raise_on_missing_files=True)


def test_files_are_added_copied_and_deleted_by_batches(api: HfApi, bucket: Bucket, tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(b"\1\2" * 100_000)
    os.utime(tmp_path / "weights", (1_700_000_000, 1_700_000_000))
    api.batch_bucket_files(bucket.id, add=[(tmp_path / "weights", "step-1/w.bin"), (b"", "none"), (b"new", "a.txt")])
    assert (bucket.folder / "step-1/w.bin").read_bytes() == b"\1\2" * 100_000
    assert (bucket.folder / "step-1/w.bin").stat().st_mtime == 1_700_000_000
    assert [(bucket.folder / path).read_bytes() for path in ("none", "a.txt")] == [b"", b"new"]
    api.create_bucket(f"{bucket.id}-2", private=True)
    api.copy_files(f"hf://buckets/{bucket.id}/logs/", f"hf://buckets/{bucket.id}-2/")
    assert [one.path for one in api.list_bucket_tree(f"{bucket.id}-2", recursive=True)] == ["1.txt", "deep/2.txt"]
    api.batch_bucket_files(bucket.id, delete=["logs/deep/2.txt", "logs/1.txt"])
    assert "logs" not in {one.path for one in api.list_bucket_tree(bucket.id)}, "an empty folder is none"
    with pytest.raises(HfHubHTTPError, match="Failed to apply 1 out of 2") as refusal:
        api.batch_bucket_files(bucket.id, delete=["z.bin", "z.bin"])
    assert status_of(refusal) == 200
    with pytest.raises(HfHubHTTPError, match=r"z\.bin: File not found") as refusal:
        api.batch_bucket_files(bucket.id, delete=["z.bin"])
    assert status_of(refusal) == 422


def test_a_folder_is_synchronised_both_ways(api: HfApi, bucket: Bucket, tmp_path: Path) -> None:
    api.sync_bucket(f"hf://buckets/{bucket.id}", str(tmp_path), quiet=True)
    assert {one.relative_to(tmp_path).as_posix() for one in tmp_path.rglob("*") if one.is_file()} == set(FILES)
    (tmp_path / "a.txt").unlink()
    (tmp_path / "logs/4.txt").write_text("four")
    api.sync_bucket(str(tmp_path), f"hf://buckets/{bucket.id}", delete=True, quiet=True)
    assert {one.path for one in bucket.files()} == set(FILES) - {"a.txt"} | {"logs/4.txt"}


def test_nothing_outside_of_a_bucket_is_read_written_or_deleted(tmp_path: Path) -> None:
    desk = Desk(Sandbox(execute=False, folder=tmp_path / "here"))
    bucket = desk.core.hub.buckets.add("acme/b", START)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/own.txt").write_text("mine")
    (bucket.folder / "link.txt").symlink_to(tmp_path / "out/own.txt")
    (bucket.folder / "out").symlink_to(tmp_path / "out")
    (bucket.folder / "a.txt").write_text("a")
    assert [one["path"] for one in desk.ask("GET", "/api/buckets/acme/b/tree?recursive=true")] == ["a.txt"]
    for path in ("link.txt", "out/own.txt", "../../../out/own.txt"):
        assert desk.refused("GET", f"/buckets/acme/b/resolve/{path}")[0] == 404
    [uploaded] = desk.ask("POST", "/api/buckets/acme/b/paths-info", {"paths": ["a.txt"]})

    def batch(line: dict[str, Any]) -> str:
        answer = desk.send("POST", "/api/buckets/acme/b/batch", json.dumps(line).encode())
        assert answer.status in (200, 422), answer.body
        return str(json.loads(answer.body)["failed"])

    for path in ("out/own.txt", "../../../out/own.txt", "/out", "a.txt/b", "\0", "x" * 300, ""):
        add = {"type": "addFile", "path": path, "xetHash": uploaded["xetHash"], "mtime": 1}
        if path:
            assert path.encode("unicode_escape").decode() in batch(add)
        else:
            assert desk.refused("POST", "/api/buckets/acme/b/batch", json.dumps(add).encode())[0] == 400
    assert "No file was uploaded" in batch({"type": "addFile", "path": "n", "xetHash": "1" * 64, "mtime": 1})
    assert "Unknown operation" in batch({"type": "moveFile", "path": "n"})
    assert "File not found" in batch({"type": "deleteFile", "path": "out/own.txt"})
    assert batch({"type": "addFile", "path": "link.txt", "xetHash": uploaded["xetHash"]}) == "[]"
    assert (tmp_path / "out/own.txt").read_text() == "mine"
    desk.core.close()
    assert not list((tmp_path / "here").iterdir())


def test_xet_gives_and_takes_by_the_right_that_a_token_stands_for(served: ServedHub, bucket: Bucket) -> None:
    base = f"{served.address}/api/buckets/{bucket.id}"
    given = httpx2.get(f"{base}/xet-read-token").json()
    auth = {"authorization": f"Bearer {given['accessToken']}"}
    [file] = [one for one in bucket.files() if one.path == "a.txt"]
    address = f"{given['casUrl']}/v1"
    told = httpx2.get(f"{address}/reconstructions/{file.xet_hash}", headers=auth).json()
    [[fetched]] = told["fetch_info"].values()
    assert httpx2.get(fetched["url"]).content.endswith(b"content")
    assert httpx2.get(fetched["url"].rpartition("/")[0] + "/1").status_code == 404
    assert httpx2.get(f"{address}/reconstructions/{'0' * 64}", headers=auth).status_code == 404
    assert httpx2.get(f"{address}/reconstructions/{file.xet_hash}").status_code == 401
    assert httpx2.post(f"{address}/xorbs/default/00", headers=auth).status_code == 401
    assert httpx2.get(f"{base}/xet-write-token").status_code == 401


def test_odd_names_are_refused(served: ServedHub) -> None:
    desk = Desk()
    assert desk.refused("POST", "/api/buckets/acme/..", {})[0] == 400
    assert desk.refused("POST", "/api/buckets/acme", {})[0] == 404
    assert desk.refused("GET", "/api/buckets/nobody")[0] == 404
    assert desk.refused("GET", "/api/buckets/me", token=None)[0] == 401
    headers = {"authorization": "Bearer hf_sandbox"}
    assert desk.core.handle(Request("POST", "/api/buckets/acme/x", "", headers), START).status == 200, "no body"
    assert desk.refused("PUT", "/api/buckets/acme/x/settings", {"private": "yes"})[0] == 400
    assert desk.refused("POST", "/api/buckets/acme/x/paths-info", {"paths": "a"})[0] == 400
    assert desk.refused("POST", "/api/buckets/acme/x/batch", b"{")[0] == 400
    assert desk.refused("POST", "/api/buckets/acme/x/batch", b"[]")[0] == 400
