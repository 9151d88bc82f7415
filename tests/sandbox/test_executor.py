"""Real commands in a served sandbox: what they see, how they end, and that nothing of them is left."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.sandbox.log_lines import LONGEST, LogLines
from service.sandbox.processes import cpu_and_memory
from service.sandbox.serve import Options, SandboxServer
from tests.sandbox.job_clients import Caller


@pytest.fixture(scope="module")
def jobs_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("jobs")


@pytest.fixture(scope="module")
def server(jobs_folder: Path) -> Iterator[SandboxServer]:
    with SandboxServer(Options(folder=jobs_folder)) as server:
        yield server


@pytest.fixture
def caller(server: SandboxServer) -> Iterator[Caller]:
    with Caller(server.url) as caller:
        yield caller


def alive(pid: int) -> bool:
    """Whether a process runs; one that ended and waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until_gone(*pids: int) -> bool:
    deadline = time.monotonic() + 5
    while any(alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not any(alive(pid) for pid in pids)


def test_the_output_is_the_log_and_exit_0_completes(caller: Caller) -> None:
    job, lines = caller.ended("bash", "-c", "echo out; echo err >&2; printf 'half'")
    assert lines == ["out", "err", "half"]
    assert job["status"] == {"stage": "COMPLETED", "message": None}
    assert job["startedAt"] <= job["finishedAt"]


def test_arguments_follow_the_command_untouched(caller: Caller) -> None:
    _, lines = caller.ended("printf", "%s|", arguments=["a b", "$(id)", "", "'\"", "ü"])
    assert lines == ["a b|$(id)||'\"|ü|"]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (3, "Job failed with exit code: 3. Reason: Error."),
        (137, "Job failed with exit code: 137. Reason: OOMKilled"),
    ],
)
def test_an_exit_code_is_an_error_with_its_message(caller: Caller, code: int, message: str) -> None:
    job, _ = caller.ended("bash", "-c", f"exit {code}")
    assert (job["status"]["stage"], job["status"]["message"]) == ("ERROR", message)


def test_a_killed_command_reports_as_a_container_does(caller: Caller) -> None:
    job, _ = caller.ended("bash", "-c", "kill -9 $$")
    assert job["status"]["message"] == "Job failed with exit code: 137. Reason: OOMKilled"


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        (
            ["no-such-command-anywhere"],
            127,
            "sandbox: cannot start no-such-command-anywhere: No such file or directory",
        ),
        (["/etc"], 126, "sandbox: cannot start /etc: Permission denied"),
        (["echo", "x" * 140_000], 126, "sandbox: cannot start echo: Argument list too long"),
        (["echo", "nul\0"], 126, "sandbox: cannot start echo: embedded null byte"),
    ],
)
def test_a_command_that_cannot_start_fails_and_says_why(
    caller: Caller, command: list[str], code: int, said: str
) -> None:
    job, lines = caller.ended(*command)
    assert lines == [said]
    assert job["status"]["message"] == f"Job failed with exit code: {code}. Reason: Error."


def test_the_environment_is_the_jobs_and_nothing_of_ours(
    caller: Caller, server: SandboxServer, jobs_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNEGATE_HF_TOKEN", "ours")
    monkeypatch.setenv("HF_TOKEN", "ours")
    job_id = caller.create(
        "env",
        environment={"STEPS": "3", "HOME": "/root", "JOB_ID": "faked", "LINES": "a\\nb"},
        secrets={"HF_TOKEN": "hf_sandbox_job"},
        flavor="a10g-large",
    )
    seen = dict(line.split("=", 1) for line in caller.log(job_id))
    assert seen["STEPS"] == "3"
    assert seen["HF_TOKEN"] == "hf_sandbox_job"
    assert seen["JOB_ID"] == job_id
    assert (seen["ACCELERATOR"], seen["CPU_CORES"], seen["MEMORY"]) == ("a10g-large", "12", "46Gi")
    assert seen["HF_ENDPOINT"] == server.url
    assert seen["UV_PYTHON_DOWNLOADS"] == "never"
    for name in ("HOME", "TMPDIR", "HF_HOME", "UV_CACHE_DIR"):
        assert seen[name].startswith(str(jobs_folder / f"job-{job_id}")), name
    assert "TUNEGATE_HF_TOKEN" not in seen


def test_two_jobs_at_once_share_no_file_and_leave_none(caller: Caller, jobs_folder: Path) -> None:
    script = (
        "import os, pathlib, tempfile, time\n"
        "for folder in ('.', tempfile.gettempdir(), pathlib.Path.home()):\n"
        "    path = pathlib.Path(folder, 'shared.txt'); assert not path.exists(); path.write_text('mine')\n"
        "time.sleep(0.5)\n"
        "print(os.getcwd())\n"
    )
    first = caller.create("python", "-c", script)
    second = caller.create("python", "-c", script)
    folders = [caller.log(first), caller.log(second)]
    assert folders[0] != folders[1]
    assert [caller.job(job_id)["status"]["stage"] for job_id in (first, second)] == ["COMPLETED"] * 2
    assert caller.job(second)["startedAt"] < caller.job(first)["finishedAt"], "they did not overlap: nothing was proved"
    assert not list(jobs_folder.iterdir())


def test_a_timeout_ends_the_whole_group(caller: Caller) -> None:
    job_id = caller.create("bash", "-c", "sleep 300 & echo $!; sleep 300", timeoutSeconds=1)
    child = int(caller.log(job_id)[0])
    job = caller.job(job_id)
    assert (job["status"]["stage"], job["status"]["message"]) == ("ERROR", "Job timeout")
    assert job["durations"]["runningSecs"] in (1, 2)
    assert until_gone(child)


def test_cancel_ends_grandchildren_even_those_that_left_the_group(caller: Caller) -> None:
    job_id = caller.create(
        "bash", "-c", "sleep 300 & a=$!; setsid sleep 300 & sleep 0.2; echo $a $(pgrep -n -s 0,$! sleep) $!; wait"
    )
    pids = [int(word) for word in caller.first_line(job_id).split()]
    assert all(alive(pid) for pid in pids)
    asked = caller.http.post(f"/api/jobs/sandbox/{job_id}/cancel").json()
    assert asked["status"]["stage"] in ("RUNNING", "CANCELED")
    caller.log(job_id)
    assert caller.job(job_id)["status"] == {"stage": "CANCELED", "message": None}
    assert until_gone(*pids)


def test_a_command_may_tidy_up_when_cancelled(caller: Caller) -> None:
    script = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (print('saved'), sys.exit(0)))\n"
        "print('ready')\n"
        "time.sleep(300)\n"
    )
    job_id = caller.create("python", "-c", script)
    assert caller.first_line(job_id) == "ready"
    caller.http.post(f"/api/jobs/sandbox/{job_id}/cancel")
    assert caller.log(job_id) == ["ready", "saved"]
    assert caller.job(job_id)["status"]["stage"] == "CANCELED"


def test_a_command_that_ignores_sigterm_is_killed_after_the_grace(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.sandbox.executor.GRACE_SECONDS", 0.5)
    job_id = caller.create("bash", "-c", "trap '' TERM; echo ready; while true; do sleep 0.05; done")
    assert caller.first_line(job_id) == "ready"
    caller.http.post(f"/api/jobs/sandbox/{job_id}/cancel")
    began = time.monotonic()
    caller.log(job_id)
    assert 0.4 < time.monotonic() - began < 4
    assert caller.job(job_id)["status"]["stage"] == "CANCELED"


def test_what_a_finished_command_left_behind_is_ended(caller: Caller) -> None:
    job, lines = caller.ended("bash", "-c", "setsid sleep 300 & echo $!; exit 0")
    assert job["status"]["stage"] == "COMPLETED"
    assert until_gone(int(lines[0]))


def test_a_failing_command_is_tried_again(caller: Caller) -> None:
    job, lines = caller.ended("bash", "-c", "echo try; exit 1", attempts=2)
    assert (lines[0], lines[-1], len(lines)) == ("try", "try", 3)
    assert job["status"]["failureCount"] == 2


def test_a_long_line_comes_in_pieces_and_a_progress_bar_as_one(caller: Caller) -> None:
    _, lines = caller.ended("python", "-c", "print('x' * 100_000); print('1%\\r2%\\r3%'); print('\\u2028é')")
    assert [len(line) for line in lines[:2]] == [LONGEST, 100_000 - LONGEST]
    assert lines[2:] == ["1%\r2%\r3%", "\u2028é"]


def test_pip_and_python_are_the_jobs_own(caller: Caller, jobs_folder: Path) -> None:
    job_id = caller.create("bash", "-c", "python -c 'import sys; print(sys.prefix)'; pip --version; command -v uv")
    prefix, pip, uv = caller.log(job_id)
    own = str(jobs_folder / f"job-{job_id}")
    assert prefix.startswith(own)
    assert pip.startswith("pip ")
    assert uv.startswith(own)
    assert prefix != sys.prefix


def test_a_project_around_the_jobs_folder_is_none_of_theirs(caller: Caller, jobs_folder: Path) -> None:
    project = jobs_folder.parent / "pyproject.toml"
    project.write_text('[project]\nname = "around"\nversion = "1"\n')
    _, lines = caller.ended("uv", "run", "python", "-c", "print('ran')")
    assert lines[-1] == "ran"
    assert not (jobs_folder.parent / "uv.lock").exists()
    assert not (jobs_folder.parent / ".venv").exists()
    project.unlink()


def test_metrics_are_measured(caller: Caller) -> None:
    job_id = caller.create("python", "-c", "x = bytearray(50_000_000); print('ready')\nwhile True: pass")
    caller.first_line(job_id)
    with caller.http.stream("GET", f"/api/jobs/sandbox/{job_id}/metrics") as answer:
        frames = [
            line for line, _ in zip((line for line in answer.iter_lines() if "data:" in line), range(2), strict=False)
        ]
    caller.http.post(f"/api/jobs/sandbox/{job_id}/cancel")
    caller.log(job_id)
    assert '"cpu_usage_pct":0' not in frames[1]
    assert int(frames[1].split('"memory_used_bytes":')[1].split(",")[0]) > 50_000_000


def test_no_more_run_at_once_than_allowed(tmp_path: Path) -> None:
    with SandboxServer(Options(folder=tmp_path, max_running=1)) as server, Caller(server.url) as caller:
        first = caller.create("sleep", "0.6")
        second = caller.create("true")
        time.sleep(0.2)
        status = caller.job(second)["status"]
        assert (status["stage"], bool(status["message"])) == ("SCHEDULING", True), "a job that waits says why"
        caller.log(second)
        assert caller.job(second)["startedAt"] >= caller.job(first)["finishedAt"]


def test_a_job_forgotten_by_the_service_is_stopped(caller: Caller) -> None:
    job_id = caller.create("bash", "-c", "echo $$; sleep 300")
    pid = int(caller.first_line(job_id))
    assert caller.http.post(f"/sandbox/jobs/{job_id}", json={"delete": True}).json()["status"]["stage"] == "DELETED"
    assert caller.http.get(f"/api/jobs/sandbox/{job_id}").status_code == 404
    assert until_gone(pid)


def test_shutdown_leaves_no_process_no_folder_and_waits_for_no_reader(tmp_path: Path) -> None:
    with SandboxServer(Options(folder=tmp_path)) as server, Caller(server.url) as caller:
        job_id = caller.create("bash", "-c", "trap '' TERM; sleep 300 & echo $$; wait; sleep 300")
        pid = int(caller.first_line(job_id))
        with caller.http.stream("GET", f"/api/jobs/sandbox/{job_id}/logs") as reader:
            assert next(reader.iter_lines())
            began = time.monotonic()
            server.__exit__(None, None, None)
            assert time.monotonic() - began < 4
    assert not alive(pid)
    assert not list(tmp_path.iterdir())


def test_a_kept_folder_holds_what_the_job_wrote(tmp_path: Path) -> None:
    with SandboxServer(Options(folder=tmp_path, keep=True)) as server, Caller(server.url) as caller:
        job, _ = caller.ended("bash", "-c", "echo result > out.txt")
    (folder,) = tmp_path.iterdir()
    assert job["id"] in folder.name
    assert (folder / "work/out.txt").read_text() == "result\n"


def test_a_stranger_name_of_the_host_is_refused(caller: Caller) -> None:
    assert caller.http.get("/api/jobs/hardware", headers={"host": "evil.example"}).status_code == 400


def test_lines_are_cut_where_they_end_whatever_the_chunks() -> None:
    output = "é1\nzwei\r\ndrei".encode()
    lines = LogLines()
    fed = [line for byte in output for line in lines.feed(bytes([byte]))]
    assert fed + lines.flush() == ["é1", "zwei", "drei"]
    assert lines.feed(b"\xff\n\n") == ["\ufffd", ""]
    assert lines.flush() == []


def test_when_all_jobs_have_ended_no_process_of_theirs_is_left(caller: Caller) -> None:
    left_behind = "setsid sleep 60 >/dev/null 2>&1 & (sleep 60 >/dev/null 2>&1 &) ; exit "
    jobs = [caller.ended("bash", "-c", left_behind + code)[0] for code in ("0", "1", "0")]
    assert [cpu_and_memory(job["id"]) for job in jobs] == [(0, 0)] * len(jobs)


def test_a_job_of_another_sandbox_is_left_alone(tmp_path: Path) -> None:
    now = datetime(2026, 11, 24, tzinfo=UTC)
    with SandboxServer(Options(folder=tmp_path / "a")) as one, SandboxServer(Options(folder=tmp_path / "b")) as other:
        ids = {server.core.jobs.next_id(now)[0] for server in (one, other)}
    assert len(ids) == 2, "what is left of a job is found, and killed, by its id"
