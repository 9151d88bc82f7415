"""Uploaded files on their way to the Hub: one repository each, whatever dies in between; none is left behind."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from service.flow import files as step
from service.store import files, rows
from service.store.db import Database
from service.store.tables import FilePiece, UploadedFile
from tests.flow.conftest import World

LINES = b'{"prompt": "?", "completion": "!"}\n'


def upload(world: World, file_id: str = "file-1", content: bytes = LINES, **fields: Any) -> None:
    def work(session: Any) -> None:
        row = {
            "id": file_id, "team": "research", "filename": "a.jsonl", "purpose": "fine-tune", "form": "completion",
            "examples": 1, "byte_count": len(content), "sha256": "", "repo": f"acme/tunegate-{file_id}",
            "created_by": "member", "created_at": world.clock.now,
        }  # fmt: skip
        rows.insert(session, [rows.new(UploadedFile, **{**row, **fields})])
        files.add_piece(session, file_id, 0, zlib.compress(content))
        files.arrived(session, file_id, world.clock.now)

    world.db.write(work)


def file(db: Database, file_id: str = "file-1") -> UploadedFile:
    with db.read() as session:
        return session.get_one(UploadedFile, file_id)


def datasets(world: World) -> dict[str, Any]:
    return {
        path: about
        for path, about in world.core.hub.snapshot().items()
        if path.startswith("datasets/acme/tunegate-")
    }  # fmt: skip


def passes(world: World, count: int = 3) -> None:
    for _ in range(count):
        step.run_once(world.gate)
        world.clock.turn(hours=1)


def is_for(ending: str, method: str = "POST") -> Callable[[httpx2.Request], bool]:
    return lambda request: request.method == method and request.url.path.endswith(ending)


@pytest.mark.parametrize("call", ["/api/repos/create", "/preupload/main", "/commit/main"])
@pytest.mark.parametrize("arrives", [True, False])
def test_a_call_that_is_cut_leaves_one_repository_with_one_commit(world: World, call: str, arrives: bool) -> None:
    cut = [True]

    def once(request: httpx2.Request) -> Exception | None:
        if cut and is_for(call)(request):
            cut.clear()
            return httpx2.ReadError("cut off")
        return None

    if arrives:
        world.wire.cut_after = once
    else:
        world.wire.cut_before = once
    upload(world)
    passes(world)
    assert file(world.db).state == "processed"
    assert not cut
    [about] = datasets(world).values()
    assert (about["private"], about["files"]) == (True, [".gitattributes", "README.md", "train.jsonl"])
    assert about["commits"] == 2  # the repository's own first one, and ours


def test_a_process_that_dies_before_it_notes_the_commit_makes_no_second_one(world: World) -> None:
    upload(world)
    write = type(world.gate).write

    class Dead(Exception):
        pass

    def dies(*_args: Any, **_kwargs: Any) -> Any:
        raise Dead

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(world.gate), "write", dies)
        assert step.run_once(world.gate) == 0  # fenced off and logged, as what nobody foresaw
    assert file(world.db).state == "uploaded"
    assert type(world.gate).write is write
    passes(world, 1)
    assert (file(world.db).state, [one["commits"] for one in datasets(world).values()]) == ("processed", [2])
    assert world.wire.count("POST", "/preupload/main") == 1, "it was sent again"
    with world.db.read() as session:
        assert session.get(FilePiece, ("file-1", 0)) is None


def test_a_repository_that_others_may_read_is_not_written_to(world: World) -> None:
    world.core.hub.publish("dataset", "acme/tunegate-file-1", {"a": b"1"}, world.clock.now)
    upload(world)
    passes(world)
    assert file(world.db).state == "error"
    assert "is not private" in str(file(world.db).problem)
    assert "train.jsonl" not in datasets(world)["datasets/acme/tunegate-file-1"]["files"]


def test_what_is_deleted_before_it_is_stored_is_never_stored(world: World) -> None:
    upload(world)
    world.db.write(lambda session: files.remove(session, files.lock(session, "file-1"), world.clock.now))
    passes(world)
    assert datasets(world) == {}
    assert file(world.db).gone_at is not None


def test_a_deletion_is_tried_until_it_is_done(world: World) -> None:
    upload(world)
    passes(world, 1)
    world.wire.cut_before = lambda request: (
        httpx2.ConnectError("away") if is_for("/api/repos/delete", "DELETE")(request) else None
    )
    world.db.write(lambda session: files.remove(session, files.lock(session, "file-1"), world.clock.now))
    passes(world, 30)
    assert len(datasets(world)) == 1
    assert file(world.db).gone_at is None
    world.wire.cut_before = lambda _request: None
    passes(world)
    assert datasets(world) == {}


def test_a_pair_is_copied_once_and_waits_for_both(world: World) -> None:
    upload(world)

    def pair(session: Any) -> None:
        files.ask_for_pair(session, files.lock(session, "file-1"), files.lock(session, "file-2"), world.clock.now)

    passes(world, 1)
    upload(world, "file-2", LINES * 2)
    world.db.write(pair)
    step.run_once(world.gate)  # the training file is first in line, and there is nothing to copy yet
    passes(world, 2)
    training = datasets(world)["datasets/acme/tunegate-file-1"]
    assert training["files"] == [".gitattributes", "README.md", "file-2.jsonl", "train.jsonl"]
    assert training["commits"] == 3
    assert file(world.db).due_at is None
    readme = world.core.hub.repo("dataset", "acme/tunegate-file-1").head.tree["README.md"].data.decode()
    assert (
        "- config_name: file-2\n  data_files:\n  - split: train\n    path: train.jsonl\n  - split: validation" in readme
    )


def test_nothing_is_asked_of_the_hub_where_nothing_is_due(world: World) -> None:
    upload(world)
    passes(world, 1)
    seen = len(world.wire.seen)
    assert step.run_once(world.gate) == 0
    assert len(world.wire.seen) == seen
