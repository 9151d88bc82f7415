"""Volumes of real jobs: what they find there, what stays of what they write, and what is refused."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.sandbox.buckets import Bucket
from service.sandbox.mounts import Mount, with_folder, without_folders
from service.sandbox.serve import Options, SandboxServer
from tests.sandbox.job_clients import START, Caller, Desk, hf

MOUNTS = [Mount(path, Path("/real") / str(number), "") for number, path in enumerate(("/ck", "/ck/in", "/my.data"))]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxServer]:
    with SandboxServer(Options(folder=tmp_path_factory.mktemp("jobs"))) as server:
        files = {"train.jsonl": b"{}\n", "sub/a.txt": b"first", "submarine.txt": b""}
        server.core.hub.publish("dataset", "acme/files", files, START)
        yield server


@pytest.fixture
def caller(server: SandboxServer) -> Iterator[Caller]:
    with Caller(server.url) as caller:
        yield caller


@pytest.fixture
def bucket(server: SandboxServer, request: pytest.FixtureRequest) -> Bucket:
    return server.core.hub.buckets.add(f"acme/{request.node.name}", START)


def at(place: str, source: Bucket | str = "acme/files", **fields: Any) -> dict[str, Any]:
    kind, name = ("bucket", source.id) if isinstance(source, Bucket) else ("dataset", source)
    return {"type": kind, "source": name, "mountPath": place, **fields}


def told(lines: list[str]) -> tuple[list[str], list[str]]:
    """What the sandbox says in a log, and what the command says."""
    mine = [line for line in lines if line.startswith("sandbox: ")]
    return mine, [line for line in lines if line not in mine]


def test_what_a_job_writes_to_a_bucket_is_there_for_the_next_and_for_the_hub(caller: Caller, bucket: Bucket) -> None:
    write = 'mkdir -p "$1" && echo 42 > "$1/step.txt" && cat "$WHERE"/step.txt && echo "saved to $1"'
    job, lines = caller.ended(
        *("bash", "-c", write, "x", "/checkpoints/run-1"),
        environment={"WHERE": "/checkpoints/run-1"},
        volumes=[at("/checkpoints", bucket)],
    )
    assert job["status"]["stage"] == "COMPLETED", lines
    assert lines == [
        f"sandbox: /checkpoints is a folder of bucket {bucket.id}",
        "42",
        "saved to /checkpoints/run-1",
    ], "the log has the paths that the job was given"
    assert job["command"][-1] == "/checkpoints/run-1", "and so has the job"
    assert [file.path for file in bucket.files()] == ["run-1/step.txt"]
    _, lines = caller.ended("cat", arguments=["/c/step.txt"], volumes=[at("/c/", bucket, path="run-1/")])
    assert lines[1:] == ["42"]
    assert caller.http.get(f"/buckets/{bucket.id}/resolve/run-1/step.txt").content == b"42\n"


def test_what_a_killed_job_has_written_stays(caller: Caller, bucket: Bucket) -> None:
    script = "trap '' TERM; echo half > /new/run/part; echo begun; sleep 300"
    job_id = caller.create("bash", "-c", script, timeoutSeconds=1, volumes=[at("/new/run", bucket, path="deep/er")])
    lines = caller.log(job_id)
    assert caller.job(job_id)["status"]["message"] == "Job timeout", lines
    assert [(file.path, file.size) for file in bucket.files()] == [("deep/er/part", 5)]


def test_a_bucket_that_is_deleted_takes_nothing_but_the_jobs_folder(
    server: SandboxServer, caller: Caller, bucket: Bucket
) -> None:
    script = "echo begun; while echo x > /c/f; do sleep 0.02; done; mkdir -p /c/d; touch /c/d/late; echo gone; exit 3"
    job_id = caller.create("bash", "-c", script, volumes=[at("/c", bucket)])
    until = time.monotonic() + 20
    while not bucket.files() and time.monotonic() < until:
        time.sleep(0.02)
    assert caller.http.delete(f"/api/{bucket.path}").status_code == 200
    assert caller.log(job_id)[-1] == "gone"
    assert caller.job(job_id)["status"]["message"] == "Job failed with exit code: 3. Reason: Error."
    again = server.core.hub.buckets.add(bucket.id, START)
    assert again.files() == []
    caller.http.post("/sandbox/faults", json={"scheduling_seconds": 0.5})
    job_id = caller.create("true", volumes=[at("/c", bucket)])
    caller.http.post("/sandbox/faults", json={})
    assert caller.http.delete(f"/api/{bucket.path}").status_code == 200
    assert caller.log(job_id) == [f"sandbox: cannot mount: there is no bucket {bucket.id} any more"]
    assert caller.job(job_id)["status"]["stage"] == "ERROR"


def test_repositories_and_read_only_buckets_are_copies(server: SandboxServer, caller: Caller, bucket: Bucket) -> None:
    (bucket.folder / "keep").mkdir()
    (bucket.folder / "keep/w.bin").write_bytes(b"weights")
    repo = server.core.hub.repo("dataset", "acme/files")
    first = repo.head.sha
    server.core.hub.publish("dataset", "acme/files", {"sub/a.txt": b"second"}, START)
    read = "cat /old/a.txt /new/sub/a.txt /b/keep/w.bin; echo; ls /old; ls /none"
    modes = "stat -c %a /b /b/keep/w.bin /new/sub /new/sub/a.txt"
    _, lines = caller.ended(
        *("bash", "-c", f"{read}; {modes}; rm -rf /b/keep"),
        volumes=[
            at("/old", revision=first, path="sub"),
            at("/new"),
            at("/none", path="nothing"),
            at("/b", bucket, readOnly=True),
        ],
    )
    mine, own = told(lines)
    assert mine == [
        f"sandbox: /old is a copy of dataset acme/files at {first[:7]}, to read only",
        f"sandbox: /new is a copy of dataset acme/files at {repo.head.sha[:7]}, to read only",
        f"sandbox: /none is a copy of dataset acme/files at {repo.head.sha[:7]}, to read only",
        f"sandbox: /b is a copy of bucket {bucket.id}, to read only",
    ]
    assert own[:6] == ["firstsecondweights", "a.txt", *["555", "444"] * 2]
    assert (bucket.folder / "keep/w.bin").read_bytes() == b"weights"
    assert repo.head.tree["sub/a.txt"].data == b"second"


def test_a_copy_that_cannot_be_written_goes_with_the_job(server: SandboxServer, caller: Caller) -> None:
    jobs = Path(caller.ended("bash", "-c", "pwd", volumes=[at("/in")])[1][-1]).parent
    assert jobs.name.startswith("job-")
    assert not jobs.exists()
    assert os.listdir(jobs.parent)


def test_the_hf_command_runs_a_script_of_ones_own_from_a_bucket(server: SandboxServer, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("import sys\nprint('trained', *sys.argv[1:])\n")
    done = hf(server, tmp_path, "jobs", "uv", "run", str(tmp_path / "train.py"), "--steps", "3")
    assert "trained --steps 3" in done.stdout, done.stdout + done.stderr
    assert server.core.hub.buckets.find("sandbox/jobs-artifacts")


def test_the_hf_command_mounts_and_fetches(server: SandboxServer, tmp_path: Path, bucket: Bucket) -> None:
    volume = f"hf://buckets/{bucket.id}:/out"
    done = hf(server, tmp_path, "jobs", "run", "-v", volume, "python:3.12", "--", "bash", "-c", "echo hi > /out/a.txt")
    assert done.returncode == 0, done.stderr
    fetched = hf(server, tmp_path, "buckets", "cp", f"hf://buckets/{bucket.id}/a.txt", str(tmp_path / "a.txt"))
    assert fetched.returncode == 0, fetched.stderr
    assert (tmp_path / "a.txt").read_text() == "hi\n"


@pytest.mark.parametrize(
    ("volume", "status", "said"),
    [
        ({"type": "bucket", "source": "acme/none"}, 404, "bucket acme/none: Bucket not found"),
        ({"type": "bucket", "source": "broke/hers"}, 403, "rights to write a bucket"),
        ({"type": "bucket", "source": "broke/secret", "readOnly": True}, 404, "Bucket not found"),
        ({"type": "model", "source": "acme/files"}, 404, "model acme/files: Repository not found"),
        ({"type": "dataset", "source": "acme/files", "revision": "v9"}, 404, "Invalid rev id: v9"),
        ({"type": "dataset", "source": "broke/gated"}, 403, "is restricted"),
        ({"type": "bucket", "source": "acme/b", "path": "../x"}, 400, "Invalid path"),
        ({"type": "bucket", "source": "acme/b", "mountPath": "//"}, 400, "Nothing can be mounted at /,"),
        ({"type": "bucket", "source": "acme/b", "mountPath": "/taken/"}, 400, "/taken, or it is taken"),
    ],
)
def test_what_is_not_there_or_not_the_callers_is_no_job(volume: dict[str, Any], status: int, said: str) -> None:
    desk = Desk()
    desk.core.hub.publish("dataset", "acme/files", {}, START)
    desk.core.hub.publish("dataset", "broke/gated", {"a": b""}, START)
    desk.core.hub.gate("broke/gated", "dataset")
    for name in ("acme/b", "broke/hers", "broke/secret"):
        desk.core.hub.buckets.add(name, START, private=name == "broke/secret")
    taken = {"type": "bucket", "source": "acme/b", "mountPath": "/taken"}
    volumes = [taken, {"mountPath": "/m", **volume}]
    spec = {"dockerImage": "x", "command": ["true"], "flavor": "cpu-basic", "volumes": volumes}
    told_status, text = desk.refused("POST", "/api/jobs/sandbox", spec)
    assert (told_status, said in text) == (status, True), text
    assert desk.ask("GET", "/api/jobs/sandbox") == []


def test_a_job_is_not_repeated_when_its_bucket_has_gone() -> None:
    desk = Desk()
    desk.core.hub.buckets.add("acme/b", START)
    desk.core.hub.buckets.add("broke/hers", START)
    volumes = [{"type": "bucket", "source": name, "mountPath": f"/{name}", "readOnly": True} for name in ("acme/b",)]
    job = desk.create(volumes=[*volumes, {**volumes[0], "source": "broke/hers", "mountPath": "/h"}])
    assert desk.ask("POST", f"/api/jobs/sandbox/{job['id']}/duplicate")["volumes"] == job["volumes"]
    desk.ask("DELETE", "/api/buckets/acme/b")
    assert desk.refused("POST", f"/api/jobs/sandbox/{job['id']}/duplicate")[0] == 404


@pytest.mark.parametrize(
    ("given", "put"),
    [
        ("/ck", "/real/0"),
        ("/ck/", "/real/0/"),
        ("/ck/run/x", "/real/0/run/x"),
        ("/ck/in/x", "/real/1/x"),
        ("/ck/inner", "/real/0/inner"),
        ("/my.data/a /myxdata", "/real/2/a /myxdata"),
        ("--out=/ck/a", "--out=/real/0/a"),
        ("-o/ck", "-o/real/0"),
        ('{"a": "/ck/a", "b": ["/ck"]}', '{"a": "/real/0/a", "b": ["/real/0"]}'),
        (r'{"a": "{\"b\": \"/ck\"}"}', r'{"a": "{\"b\": \"/real/0\"}"}'),
        ("cd /ck;ls '/ck' \"/ck\">/ck/log", "cd /real/0;ls '/real/0' \"/real/0\">/real/0/log"),
        ("open(f'/ck/{n}'), Path(r\"/ck\")", "open(f'/real/0/{n}'), Path(r\"/real/0\")"),
        ("/a:/ck:/b,/ck", "/a:/real/0:/b,/real/0"),
        ("file:///ck/a", "file:///real/0/a"),
        ("It is in /ck.\n/ck\n", "It is in /real/0.\n/real/0\n"),
        *(
            (text, text)
            for text in (
                *("/my/ck", "x/ck", "./ck", "../ck", "~/ck", "//ck", "http://h/ck", "hf://ck/a", "é/ck", "a-/ck"),
                *("/ck2", "/ck-old", "/ck_a", "/ck.bak", "/cké", "/ck~", "/ck*", "/ck$N", "/ck${N}", r"/ck\ a", "/c"),
                *("$HOME/ck", "${HOME}/ck", '"$HOME"/ck', "$(pwd)/ck", "`pwd`/ck", "*/ck", "--out/ck", "s/ck/x/"),
            )
        ),
    ],
)
def test_a_path_is_put_where_it_stands_by_itself_only(given: str, put: str) -> None:
    assert with_folder(given, MOUNTS) == put
    assert with_folder(given, ()) == given
    assert without_folders(put, MOUNTS) == given
