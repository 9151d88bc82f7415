"""huggingface_hub's HfApi and file system against the served Hub, with Xet installed and on."""

from __future__ import annotations

import json
import os
import re
import struct
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationCopy,
    CommitOperationDelete,
    HfApi,
    HfFileSystem,
    RepoFolder,
)
from huggingface_hub.errors import (
    BadRequestError,
    GatedRepoError,
    HfHubHTTPError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from tests.sandbox.hub_clients import OWNER, READER, STRANGER, ServedHub, api_of, move_library, serve_hub

HELLO_OID = "b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0"  # printf hello | git hash-object --stdin


@pytest.fixture(scope="module")
def served() -> Iterator[ServedHub]:
    with serve_hub() as served:
        yield served


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own for the library, which asks no other server."""
    return move_library(tmp_path_factory.mktemp("home"), monkeypatch)


@pytest.fixture
def api(served: ServedHub) -> HfApi:
    return api_of(served, OWNER)


@pytest.fixture
def repo_id(api: HfApi, request: pytest.FixtureRequest) -> str:
    """A fresh model repository for one test."""
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_")).strip("-")
    return api.create_repo(f"acme/{name}").repo_id


def safetensors(**tensors: tuple[int, ...]) -> bytes:
    """A safetensors file of zeros, made by hand from the format's description."""
    header, end = {}, 0
    for name, shape in tensors.items():
        size = 4
        for side in shape:
            size *= side
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [end, end + size]}
        end += size
    text = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    return struct.pack("<Q", len(text)) + text + bytes(end)


def status_of(error: pytest.ExceptionInfo[HfHubHTTPError]) -> int:
    return error.value.response.status_code


def test_create_repo(served: ServedHub, api: HfApi) -> None:
    url = api.create_repo("mine")
    assert (url, url.repo_id, url.repo_type) == (f"{served.address}/sandbox/mine", "sandbox/mine", "model")
    assert api.create_repo("sandbox/mine", exist_ok=True) == url
    with pytest.raises(HfHubHTTPError, match="You already created this model repo") as error:
        api.create_repo("mine")
    assert status_of(error) == 409
    assert api.create_repo("acme/chats", repo_type="dataset").repo_type == "dataset"
    assert api.create_repo("acme/board", repo_type="space", space_sdk="static").repo_type == "space"
    assert api.space_info("acme/board").sdk == "static"
    assert api.repo_exists("acme/chats", repo_type="dataset")
    assert not api.repo_exists("acme/chats")
    assert not api.repo_exists("acme/no-board", repo_type="space")
    assert [commit.title for commit in api.list_repo_commits("sandbox/mine")] == ["initial commit"]


@pytest.mark.parametrize(
    ("token", "name", "status"),
    [
        (READER, "sandbox/new", 403),
        (OWNER, "broke/new", 403),
        (OWNER, "google/new", 403),
        (STRANGER, "acme/new", 403),
        (False, "sandbox/new", 401),
        ("hf_unknown", "sandbox/new", 401),
    ],
)
def test_who_may_create(served: ServedHub, token: str | bool, name: str, status: int) -> None:
    with pytest.raises(HfHubHTTPError) as error:
        api_of(served, token).create_repo(name)
    assert status_of(error) == status
    assert not api_of(served, OWNER).repo_exists(name)


@pytest.mark.parametrize(("token", "status"), [(READER, 403), (STRANGER, 403), (False, 401)])
def test_who_may_write(served: ServedHub, repo_id: str, token: str | bool, status: int) -> None:
    other = api_of(served, token)
    attempts = [
        lambda: other.upload_file(path_or_fileobj=b"x", path_in_repo="x", repo_id=repo_id),
        lambda: other.delete_file("config.json", repo_id),
        lambda: other.delete_repo(repo_id),
        lambda: other.update_repo_settings(repo_id, private=True),
        lambda: other.create_branch(repo_id, branch="b"),
        lambda: other.create_tag(repo_id, tag="t"),
        lambda: other.move_repo(repo_id, "sandbox/moved"),
        lambda: other.auth_check(repo_id, write=True),
    ]
    before = served.hub.snapshot()
    for attempt in attempts:
        with pytest.raises(HfHubHTTPError) as error:
            attempt()
        assert status_of(error) == status
    assert served.hub.snapshot() == before


def test_upload_file(served: ServedHub, api: HfApi, repo_id: str, tmp_path: Path) -> None:
    done = api.upload_file(path_or_fileobj=b"hello", path_in_repo="deep/down/greeting.txt", repo_id=repo_id)
    assert done.commit_url == f"{served.address}/{repo_id}/commit/{done.oid}"
    assert (done.repo_url.repo_id, done.commit_message) == (
        repo_id,
        "Upload deep/down/greeting.txt with huggingface_hub",
    )
    assert api.list_repo_files(repo_id) == [".gitattributes", "deep/down/greeting.txt"]
    assert api.model_info(repo_id).sha == done.oid
    assert api.file_exists(repo_id, "deep/down/greeting.txt")
    assert not api.file_exists(repo_id, "deep/down")
    assert Path(api.hf_hub_download(repo_id, "deep/down/greeting.txt")).read_bytes() == b"hello"


def test_upload_folder(api: HfApi, repo_id: str, tmp_path: Path) -> None:
    noise = os.urandom(300_000)
    files = {
        "README.md": b"---\nlicense: mit\ntags: [tiny]\nbase_model: acme/base\nlibrary_name: transformers\n---\nTiny\n",
        "config.json": b'{"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 4}',
        "model.safetensors": safetensors(weight=(3, 4), bias=(5,)),
        "checkpoints/1/noise.bin": noise,
        "checkpoints/empty.txt": b"",
        "naïve name.txt": b"hello",
    }
    folder = tmp_path / "folder"
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    done = api.upload_folder(folder_path=folder, repo_id=repo_id)

    info = api.model_info(repo_id, files_metadata=True)
    assert info.sha == done.oid
    assert info.siblings is not None
    assert {item.rfilename: item.size for item in info.siblings} == {
        ".gitattributes": 92,
        **{name: len(data) for name, data in files.items()},
    }
    assert {item.blob_id for item in info.siblings if item.size == 5} == {HELLO_OID}
    assert info.safetensors is not None
    assert (info.safetensors.parameters, info.safetensors.total) == ({"F32": 17}, 17)
    assert info.config == {"model_type": "llama", "architectures": ["LlamaForCausalLM"]}
    assert info.tags == ["license:mit", "base_model:acme/base", "tiny"]
    assert (info.author, info.private, info.gated, info.library_name) == ("acme", False, False, "transformers")
    assert set(api.get_safetensors_metadata(repo_id).files_metadata["model.safetensors"].tensors) == {"weight", "bias"}

    copy = Path(api.snapshot_download(repo_id, local_dir=tmp_path / "copy"))
    assert {name: (copy / name).read_bytes() for name in files} == files


def test_an_unchanged_upload_makes_no_commit(api: HfApi, repo_id: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    (tmp_path / "b.bin").write_bytes(os.urandom(100))
    first = api.upload_folder(folder_path=tmp_path, repo_id=repo_id)
    assert api.upload_folder(folder_path=tmp_path, repo_id=repo_id).oid == first.oid
    assert api.upload_file(path_or_fileobj=b"a", path_in_repo="a.txt", repo_id=repo_id).oid == first.oid
    changed = api.upload_file(path_or_fileobj=b"b", path_in_repo="a.txt", repo_id=repo_id)
    assert [commit.commit_id for commit in api.list_repo_commits(repo_id)][:2] == [changed.oid, first.oid]
    assert len(api.list_repo_commits(repo_id)) == 3


def test_commits_come_in_pages_and_the_first_is_the_hubs_own(served: ServedHub, api: HfApi, repo_id: str) -> None:
    for number in range(60):
        served.hub.publish("model", repo_id, {"n": str(number).encode()}, datetime.now(UTC), author="sandbox")
    listed = api.list_repo_commits(repo_id)
    assert (len(listed), len({commit.commit_id for commit in listed})) == (61, 61)
    assert [listed[0].authors, listed[-1].authors] == [["sandbox"], ["system"]]


def test_a_gitignore_leaves_files_out(api: HfApi, repo_id: str, tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("*.log\n")
    (tmp_path / "train.log").write_text("step 1")
    (tmp_path / "kept.txt").write_text("kept")
    api.upload_folder(folder_path=tmp_path, repo_id=repo_id)
    api.upload_file(path_or_fileobj=b"step 2", path_in_repo="later.log", repo_id=repo_id)
    assert api.list_repo_files(repo_id) == [".gitattributes", ".gitignore", "kept.txt"]


def test_parent_commit(api: HfApi, repo_id: str) -> None:
    first = api.upload_file(path_or_fileobj=b"1", path_in_repo="n", repo_id=repo_id)
    second = api.upload_file(path_or_fileobj=b"2", path_in_repo="n", repo_id=repo_id, parent_commit=first.oid)
    with pytest.raises(HfHubHTTPError, match="A commit has happened since") as error:
        api.upload_file(path_or_fileobj=b"3", path_in_repo="n", repo_id=repo_id, parent_commit=first.oid)
    assert status_of(error) == 412
    assert api.model_info(repo_id).sha == second.oid


def test_delete_copy_and_add_in_one_commit(api: HfApi, repo_id: str) -> None:
    for name in ("a.txt", "old/1", "old/2"):
        api.upload_file(path_or_fileobj=name.encode(), path_in_repo=name, repo_id=repo_id)
    operations = [
        CommitOperationCopy("a.txt", "b.txt"),
        CommitOperationDelete("old/"),
        CommitOperationAdd("c.txt", b"c"),
    ]
    api.create_commit(repo_id, operations, commit_message="All at once", commit_description="three operations")
    assert api.list_repo_files(repo_id) == [".gitattributes", "a.txt", "b.txt", "c.txt"]
    assert api.list_repo_commits(repo_id)[0].message == "three operations"
    api.delete_file("b.txt", repo_id)
    assert not api.file_exists(repo_id, "b.txt")
    with pytest.raises(RemoteEntryNotFoundError, match="doesn't exist"):
        api.delete_file("b.txt", repo_id)


def test_an_unreadable_card_is_refused_before_the_upload(api: HfApi, repo_id: str) -> None:
    with pytest.raises(ValueError, match="Invalid metadata in README"):
        api.upload_file(path_or_fileobj=b"---\na: [1\n---\n", path_in_repo="README.md", repo_id=repo_id)


def test_revisions(api: HfApi, repo_id: str) -> None:
    first = api.upload_file(path_or_fileobj=b"one", path_in_repo="n.txt", repo_id=repo_id)
    api.create_tag(repo_id, tag="v1")
    api.create_branch(repo_id, branch="try/again")
    second = api.upload_file(path_or_fileobj=b"two", path_in_repo="n.txt", repo_id=repo_id)
    third = api.upload_file(path_or_fileobj=b"three", path_in_repo="d/n.txt", repo_id=repo_id, revision="try/again")
    wanted = {
        None: second,
        "main": second,
        "v1": first,
        first.oid: first,
        "try/again": third,
        "refs/heads/main": second,
    }
    assert {name: api.model_info(repo_id, revision=name).sha for name in wanted} == {
        name: commit.oid for name, commit in wanted.items()
    }
    assert Path(api.hf_hub_download(repo_id, "n.txt", revision="v1")).read_text() == "one"
    assert Path(api.hf_hub_download(repo_id, "d/n.txt", revision="try/again")).read_text() == "three"
    assert [entry.path for entry in api.list_repo_tree(repo_id, "d", revision="try/again")] == ["d/n.txt"]
    refs = api.list_repo_refs(repo_id)
    assert {ref.name: ref.target_commit for ref in refs.branches} == {"main": second.oid, "try/again": third.oid}
    assert {ref.name: ref.target_commit for ref in refs.tags} == {"v1": first.oid}

    with pytest.raises(HfHubHTTPError) as error:
        api.create_branch(repo_id, branch="try/again")
    assert status_of(error) == 409
    api.create_branch(repo_id, branch="try/again", exist_ok=True)
    for revision in ("v1", first.oid, "nowhere"):
        with pytest.raises(RevisionNotFoundError):
            api.upload_file(path_or_fileobj=b"x", path_in_repo="x", repo_id=repo_id, revision=revision)
    api.delete_branch(repo_id, branch="try/again")
    api.delete_tag(repo_id, tag="v1")
    assert not api.revision_exists(repo_id, "try/again")
    assert api.revision_exists(repo_id, third.oid)
    with pytest.raises(HfHubHTTPError) as error:
        api.delete_branch(repo_id, branch="main")
    assert status_of(error) == 403


def test_what_is_not_there(api: HfApi, repo_id: str, home: Path) -> None:
    with pytest.raises(RemoteEntryNotFoundError):
        api.hf_hub_download(repo_id, "missing.txt")
    head = api.model_info(repo_id).sha
    cache = home / "hub" / f"models--{repo_id.replace('/', '--')}"
    assert (cache / ".no_exist" / str(head) / "missing.txt").exists()
    with pytest.raises(RemoteEntryNotFoundError):
        list(api.list_repo_tree(repo_id, "no/folder"))
    with pytest.raises(RevisionNotFoundError):
        api.hf_hub_download(repo_id, "missing.txt", revision="nowhere")
    with pytest.raises(RevisionNotFoundError):
        api.model_info(repo_id, revision="0" * 40)
    for name in ("acme/never-made", "gpt2"):
        with pytest.raises(RepositoryNotFoundError):
            api.model_info(name)
        with pytest.raises(RepositoryNotFoundError):
            api.hf_hub_download(name, "config.json")


def test_a_second_snapshot_asks_only_for_the_revision(served: ServedHub, api: HfApi, repo_id: str) -> None:
    for name in ("a.txt", "d/b.txt"):
        api.upload_file(path_or_fileobj=name.encode(), path_in_repo=name, repo_id=repo_id)
    first = api.snapshot_download(repo_id)
    served.requests.clear()
    assert api.snapshot_download(repo_id) == first
    assert served.requests == [("GET", f"/api/models/{repo_id}/revision/main", 200)]
    assert (Path(first) / "d" / "b.txt").read_text() == "d/b.txt"


def test_trees_and_paths(api: HfApi, repo_id: str) -> None:
    one = api.upload_file(path_or_fileobj=b"hello", path_in_repo="d/e/a.txt", repo_id=repo_id)
    two = api.upload_file(path_or_fileobj=b"other", path_in_repo="d/b.txt", repo_id=repo_id)
    assert [entry.path for entry in api.list_repo_tree(repo_id)] == [".gitattributes", "d"]
    assert [entry.path for entry in api.list_repo_tree(repo_id, "d")] == ["d/b.txt", "d/e"]
    entries = {entry.path: entry for entry in api.list_repo_tree(repo_id, "d", recursive=True, expand=True)}
    assert {path: entry.last_commit.oid for path, entry in entries.items()} == {
        "d/b.txt": two.oid,
        "d/e": one.oid,
        "d/e/a.txt": one.oid,
    }
    found = api.get_paths_info(repo_id, ["d", "d/e/a.txt", "nothing"])
    assert [(entry.path, isinstance(entry, RepoFolder)) for entry in found] == [("d", True), ("d/e/a.txt", False)]
    assert found[1].blob_id == HELLO_OID


def test_the_file_system(served: ServedHub, api: HfApi, repo_id: str) -> None:
    api.upload_file(path_or_fileobj=bytes(range(256)) * 40, path_in_repo="d/data.bin", repo_id=repo_id)
    fs = HfFileSystem(endpoint=served.address, token=OWNER, skip_instance_cache=True)
    assert fs.ls(repo_id, detail=False) == [f"{repo_id}/.gitattributes", f"{repo_id}/d"]
    assert fs.glob(f"{repo_id}/**/*.bin") == [f"{repo_id}/d/data.bin"]
    served.requests.clear()
    with fs.open(f"{repo_id}/d/data.bin", "rb", block_size=64) as file:
        file.seek(250)
        assert file.read(12) == bytes(range(250, 256)) + bytes(range(6))
    assert ("GET", f"/{repo_id}/resolve/main/d/data.bin", 206) in served.requests
    fs.write_text(f"{repo_id}/d/note.txt", "written")
    assert fs.read_text(f"{repo_id}/d/note.txt") == "written"
    fs.rm(f"{repo_id}/d/note.txt")
    assert not api.file_exists(repo_id, "d/note.txt")


@pytest.mark.parametrize("token", [False, STRANGER])
def test_a_private_repo_does_not_exist_for_others(
    served: ServedHub, api: HfApi, token: str | bool, tmp_path: Path
) -> None:
    name = api.create_repo("acme/secret", private=True, exist_ok=True).repo_id
    api.upload_file(path_or_fileobj=b"x", path_in_repo="x.txt", repo_id=name)
    other, reader = api_of(served, token), api_of(served, READER)
    assert api.model_info(name).private is True
    assert reader.repo_exists(name)
    assert Path(reader.hf_hub_download(name, "x.txt")).read_bytes() == b"x"
    assert not other.repo_exists(name)
    assert name not in {model.id for model in other.list_models(author="acme")}
    assert name in {model.id for model in reader.list_models(author="acme")}
    for attempt in (
        lambda: other.hf_hub_download(name, "x.txt", cache_dir=tmp_path),
        lambda: other.upload_file(path_or_fileobj=b"y", path_in_repo="y", repo_id=name),
        lambda: list(other.list_repo_tree(name)),
        lambda: other.auth_check(name),
    ):
        with pytest.raises(RepositoryNotFoundError):
            attempt()


def test_visibility_can_change(served: ServedHub, api: HfApi, repo_id: str) -> None:
    anonymous = api_of(served, False)
    assert anonymous.repo_exists(repo_id)
    api.update_repo_settings(repo_id, private=True)
    assert not anonymous.repo_exists(repo_id)
    api.update_repo_settings(repo_id, visibility="public", gated="auto")
    assert anonymous.model_info(repo_id).gated == "auto"


@pytest.mark.parametrize(("token", "status"), [(False, 401), (STRANGER, 403)])
def test_a_gated_repo_keeps_its_files(
    served: ServedHub, api: HfApi, repo_id: str, token: str | bool, status: int
) -> None:
    api.upload_file(path_or_fileobj=b"{}", path_in_repo="config.json", repo_id=repo_id)
    served.switch(f"models/{repo_id}", gated=True)
    other = api_of(served, token)
    assert other.model_info(repo_id).gated == "manual"
    for attempt in (lambda: other.hf_hub_download(repo_id, "config.json"), lambda: other.auth_check(repo_id)):
        with pytest.raises(GatedRepoError, match="restricted") as error:
            attempt()
        assert status_of(error) == status
    assert api.file_exists(repo_id, "config.json")
    served.switch(f"models/{repo_id}", gated=False)
    other.auth_check(repo_id)


@pytest.mark.parametrize("status", [403, 500])
def test_commits_can_be_made_to_fail(served: ServedHub, api: HfApi, repo_id: str, status: int) -> None:
    served.switch(f"models/{repo_id}", refuse_commits={"status": status, "after": 1})
    kept = api.upload_file(path_or_fileobj=b"1", path_in_repo="n", repo_id=repo_id)
    for _ in range(2):
        with pytest.raises(HfHubHTTPError) as error:
            api.upload_file(path_or_fileobj=b"2", path_in_repo="n", repo_id=repo_id)
        assert status_of(error) == status
    assert api.model_info(repo_id).sha == kept.oid
    served.switch(f"models/{repo_id}", refuse_commits=None)
    assert api.upload_file(path_or_fileobj=b"2", path_in_repo="n", repo_id=repo_id).oid != kept.oid


def test_pull_requests(served: ServedHub, api: HfApi, repo_id: str, tmp_path: Path) -> None:
    before = api.model_info(repo_id).sha
    (tmp_path / "a.txt").write_text("a")
    first = api.upload_folder(folder_path=tmp_path, repo_id=repo_id, create_pr=True)
    second = api_of(served, STRANGER).upload_file(
        path_or_fileobj=b"b", path_in_repo="b.txt", repo_id=repo_id, create_pr=True
    )
    assert (first.pr_revision, second.pr_revision) == ("refs/pr/1", "refs/pr/2")
    assert api.model_info(repo_id).sha == before
    assert api.list_repo_files(repo_id, revision="refs/pr/1") == [".gitattributes", "a.txt"]
    assert Path(api.hf_hub_download(repo_id, "b.txt", revision="refs/pr/2")).read_text() == "b"
    refs = api.list_repo_refs(repo_id, include_pull_requests=True).pull_requests
    assert [ref.ref for ref in refs or []] == ["refs/pr/1", "refs/pr/2"]
    assert [pull.author for pull in api.get_repo_discussions(repo_id)] == ["sandbox", "broke"]


def test_lists(served: ServedHub, api: HfApi) -> None:
    for name in ("sandbox/list-a", "sandbox/list-b", "acme/list-c"):
        api.create_repo(name)
    api.create_repo("sandbox/list-d", repo_type="dataset")
    assert [model.id for model in api.list_models(author="sandbox", search="LIST")] == [
        "sandbox/list-b",
        "sandbox/list-a",
    ]
    assert len(list(api.list_models(search="list-", limit=2))) == 2
    assert [dataset.id for dataset in api.list_datasets(author="sandbox")] == ["sandbox/list-d"]
    assert list(api.list_spaces(author="sandbox")) == []


def test_expand_gives_only_what_was_asked(api: HfApi, repo_id: str) -> None:
    info = api.model_info(repo_id, expand=["sha", "private", "createdAt"])
    assert info.sha is not None
    assert info.created_at is not None
    assert (info.private, info.siblings, info.tags) == (False, None, None)


def test_delete_and_move(api: HfApi, repo_id: str) -> None:
    api.move_repo(repo_id, "sandbox/moved-here")
    assert (api.repo_exists(repo_id), api.repo_exists("sandbox/moved-here")) == (False, True)
    with pytest.raises(BadRequestError):
        api.move_repo("sandbox/moved-here", "sandbox/..git")
    api.delete_repo("sandbox/moved-here")
    assert not api.repo_exists("sandbox/moved-here")
    with pytest.raises(RepositoryNotFoundError):
        api.delete_repo("sandbox/moved-here")
    api.delete_repo("sandbox/moved-here", missing_ok=True)
