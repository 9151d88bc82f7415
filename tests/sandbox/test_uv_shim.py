"""`uv run` in jobs: mapped URLs, a prepared environment, and the real uv where neither applies."""

from __future__ import annotations

import re
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest
import uv

from service.sandbox.serve import Options, SandboxServer
from service.sandbox.uv_shim import VALUE_OPTIONS, plan
from tests.sandbox.job_clients import Caller

URL = "https://raw.example.com/trl/v1/sft.py"
SCRIPT = """# /// script
# requires-python = ">=3.10"
# dependencies = []
# ///
import sys
print("ran", sys.argv[1:], sys.prefix)
"""


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scripts")
    (folder / "sft.py").write_text(SCRIPT)
    (folder / "nested").mkdir()
    (folder / "nested/dpo.py").write_text(SCRIPT)
    return folder


@pytest.mark.parametrize(
    ("arguments", "planned"),
    [
        (["run", URL, "--lr", "1"], ["/uv", "run", "{scripts}/sft.py", "--lr", "1"]),
        (["run", "--with", "trl==1", "-q", URL], ["/uv", "run", "--with", "trl==1", "-q", "{scripts}/sft.py"]),
        (["-q", "--directory", "run", "run", URL], ["/uv", "-q", "--directory", "run", "run", "{scripts}/sft.py"]),
        (["run", "--", URL, "--", URL], ["/uv", "run", "--", "{scripts}/sft.py", "--", URL]),
        (["run", "--with", URL, "x.py"], ["/uv", "run", "--with", URL, "x.py"]),
        (["run", "https://other.example/sft.py"], ["/uv", "run", "https://other.example/sft.py"]),
        (["run", "https://p.example/nested/dpo.py?raw=1"], ["/uv", "run", "{scripts}/nested/dpo.py"]),
        (["run", "https://n.example/dpo.py"], ["/uv", "run", "{scripts}/nested/dpo.py"]),
        (["run", "https://n.example/../sft.py"], ["/uv", "run", "https://n.example/../sft.py"]),
        (["pip", "install", URL], ["/uv", "pip", "install", URL]),
        (["run"], ["/uv", "run"]),
        (["run", "--with"], ["/uv", "run", "--with"]),
        ([], ["/uv"]),
    ],
)
def test_only_the_target_of_uv_run_is_mapped(arguments: list[str], planned: list[str], scripts: Path) -> None:
    url_map = [(URL, str(scripts / "sft.py")), ("https://p.example/", str(scripts))]
    url_map.append(("https://n.example/", str(scripts / "nested")))
    command, notes = plan(arguments, "/uv", url_map, None)
    assert command == [part.replace("{scripts}", str(scripts)) for part in planned]
    assert bool(notes) == (planned[1:] != arguments)
    assert not any(str(scripts) in note for note in notes), "a note names the file, not the machine's folders"


@pytest.mark.parametrize(
    ("arguments", "planned"),
    [
        (["run", "--with", "trl", "x.py", "a"], ["{env}/python", "x.py", "a"]),
        (["run", "--python", "3.12", "-"], ["{env}/python", "-"]),
        (["run", "-m", "json.tool"], ["{env}/python", "-m", "json.tool"]),
        (["run", "python", "-V"], ["{env}/python", "-V"]),
        (["run", "no-such-command"], ["/uv", "run", "no-such-command"]),
        (["run", URL], ["/uv", "run", URL]),
    ],
)
def test_a_prepared_environment_runs_what_it_can(arguments: list[str], planned: list[str]) -> None:
    bin_folder = Path(sys.executable).parent
    command, _ = plan(arguments, "/uv", [], str(bin_folder.parent))
    assert command == [part.replace("{env}", str(bin_folder)) for part in planned]


def test_every_option_of_uv_run_that_takes_a_value_is_known() -> None:
    said = subprocess.run([uv.find_uv_bin(), "run", "--help"], capture_output=True, text=True, check=True).stdout
    options = re.findall(r"^ +(?:(-\w), )?(--[\w-]+) <", said, re.MULTILINE)
    assert len(options) > 30
    assert {name for pair in options for name in pair if name} <= VALUE_OPTIONS


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared") / "env"
    venv.create(folder, symlinks=True)
    return folder


@pytest.fixture(scope="module")
def server(scripts: Path, prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxServer]:
    options = Options(
        folder=tmp_path_factory.mktemp("jobs"), url_map=((URL, str(scripts / "sft.py")),), python_env=prepared
    )
    with SandboxServer(options) as server:
        yield server


def test_a_mapped_url_runs_in_the_prepared_environment_and_the_log_says_so(
    server: SandboxServer, prepared: Path
) -> None:
    with Caller(server.url) as caller:
        wrapped = ["bash", "-c", 'exec uv run --with trl==9.9 "$@"', "train", URL, "--lr", "1 2"]
        for command in (["uv", "run", URL, "--lr", "1 2"], wrapped):
            job, lines = caller.ended(*command)
            assert job["status"]["stage"] == "COMPLETED"
            assert sorted(lines) == sorted(
                [
                    f"sandbox: {URL} is read from sft.py",
                    "sandbox: uv run uses the prepared environment",
                    f"ran ['--lr', '1 2'] {prepared}",
                ]
            )


def test_without_either_uv_itself_runs_the_script(tmp_path: Path) -> None:
    with SandboxServer(Options(folder=tmp_path)) as server, Caller(server.url) as caller:
        write_and_run = 'printf %s "$SOURCE" > train.py && exec uv run -q train.py "$@"'
        job, lines = caller.ended("bash", "-c", write_and_run, "train", "a b", environment={"SOURCE": SCRIPT})
        assert job["status"]["stage"] == "COMPLETED", lines
        assert lines[0].startswith(f"ran ['a b'] {tmp_path}/job-{job['id']}")

        job, lines = caller.ended("uv", "run", "--python", "3.99", "python", "-V")
        assert job["status"]["stage"] == "ERROR"
        assert any("3.99" in line for line in lines)
