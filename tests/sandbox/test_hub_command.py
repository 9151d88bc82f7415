"""The real `hf` command against the served Hub, each call a process of its own; Xet is on unless a test says so."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.sandbox.hub_clients import STRANGER, ServedHub, serve_hub


@pytest.fixture(scope="module")
def served() -> Iterator[ServedHub]:
    with serve_hub() as served:
        yield served


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder to upload: text, a nested file, and a binary file that the real Hub would send to Xet."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    (tmp_path / "sub" / "notes.txt").write_text("notes")
    (tmp_path / "model.safetensors").write_bytes(os.urandom(200_000))
    return tmp_path


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".cache" not in path.parts and path.name != ".gitattributes"
    }


def test_folders_go_up_and_come_down(
    served: ServedHub, home: Path, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert importlib.util.find_spec("hf_xet"), "this test means nothing without Xet"
    up = served.hf(home, "upload", "acme/whole", str(folder), "--commit-message", "first push")
    assert up.returncode == 0, up.stderr
    assert f"{served.address}/acme/whole/" in up.stdout
    repo = served.hub.repo("model", "acme/whole")
    assert repo.head.title == "first push"
    assert {name: blob.data for name, blob in repo.head.tree.items() if name != ".gitattributes"} == contents(folder)

    again = served.hf(home, "upload", "acme/whole", str(folder))
    assert again.returncode == 0, again.stderr
    assert len(list(repo.head.history())) == 2

    target = tmp_path_factory.mktemp("target")
    down = served.hf(home, "download", "acme/whole", "--local-dir", str(target))
    assert down.returncode == 0, down.stderr
    assert contents(target) == contents(folder)

    cached = served.hf(home, "download", "acme/whole", "config.json", "--quiet")
    assert cached.returncode == 0, cached.stderr
    assert Path(cached.stdout.strip().removeprefix("path=")).read_text() == '{"model_type": "llama"}'
    assert not [path for _, path, _ in served.requests if "xet" in path]


def test_a_file_of_a_dataset(served: ServedHub, home: Path, folder: Path) -> None:
    source = folder / "sub" / "notes.txt"
    up = served.hf(home, "upload", "acme/texts", str(source), "data/notes.txt", "--repo-type", "dataset", "--private")
    assert up.returncode == 0, up.stderr
    repo = served.hub.repo("dataset", "acme/texts")
    assert repo.private
    assert repo.head.tree["data/notes.txt"].data == b"notes"
    command = ("download", "acme/texts", "data/notes.txt", "--repo-type", "dataset", "--local-dir", str(folder / "out"))
    assert served.hf(home, *command).returncode == 0
    assert (folder / "out" / "data" / "notes.txt").read_text() == "notes"
    other = served.hf(home, *command[:-1], str(folder / "other"), token=STRANGER)
    assert other.returncode != 0
    assert "not found" in other.stderr.lower()


def test_what_is_not_there_fails(served: ServedHub, home: Path, folder: Path) -> None:
    served.hub.publish("model", "acme/there", {"a": b"a"}, datetime.now(UTC))
    for arguments in (("acme/nowhere",), ("acme/there", "missing.txt"), ("acme/there", "--revision", "nope")):
        answer = served.hf(home, "download", *arguments)
        assert answer.returncode != 0, arguments
        assert "Traceback" not in answer.stderr
    refused = served.hf(home, "upload", "google/mine", str(folder))
    assert refused.returncode != 0
    assert "don't have the rights" in refused.stderr


def test_repos_branches_and_tags(served: ServedHub, home: Path) -> None:
    for arguments in (
        ("repos", "create", "acme/by-command"),
        ("repos", "tag", "create", "acme/by-command", "v1"),
        ("repos", "branch", "create", "acme/by-command", "dev"),
    ):
        answer = served.hf(home, *arguments)
        assert answer.returncode == 0, answer.stderr
    assert set(served.hub.repo("model", "acme/by-command").refs) == {
        "refs/heads/main",
        "refs/tags/v1",
        "refs/heads/dev",
    }
    gone = served.hf(home, "repos", "delete", "acme/by-command", "--yes")
    assert gone.returncode == 0, gone.stderr
    assert "acme/by-command" not in served.hub.snapshot()
