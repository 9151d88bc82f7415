"""The real `hf` command and the real library with Tunegate as their endpoint; and docs/hf.md, as it stands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from service.domain.job import IMAGE
from service.sandbox.serve import Options, SandboxServer
from tests.docs.pages import FENCE, ROOT
from tests.processes import Service

SCRIPT = b"import sys\nprint('fetched', *sys.argv[1:])\n"


@dataclass(frozen=True)
class Place:
    """A service that a team with a key and money uses, and a folder that is the user's home."""

    service: Service
    key: str
    home: Path

    def environment(self, key: str | None = None) -> dict[str, str]:
        """That of a client who changed one line, and has nothing of the tests' own."""
        return {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.home),
            "HF_ENDPOINT": self.service.url,
            "HF_TOKEN": key or self.key,
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_UPDATE_CHECK": "1",
            "HF_HUB_DISABLE_EXPERIMENTAL_WARNING": "1",
            "NO_COLOR": "1",
            "COLUMNS": "300",
            "TUNEGATE": self.service.url,
            "KEY": self.key,
        }

    def hf(self, *words: str, key: str | None = None) -> subprocess.CompletedProcess[str]:
        """`hf …`, from the home."""
        return self._run(["hf", *words], self.environment(key))

    def python(self, text: str) -> subprocess.CompletedProcess[str]:
        """A program of the user's."""
        return self._run([sys.executable, "-c", text], self.environment())

    def typed(self, text: str) -> subprocess.CompletedProcess[str]:
        """What a page shows, in one shell."""
        known = {
            name: self.environment()[name] for name in self.environment() if name not in ("HF_ENDPOINT", "HF_TOKEN")
        }
        return self._run(["bash", "-euo", "pipefail", "-c", text], known)

    def start(self, *words: str) -> str:
        """The id of a job that `hf jobs run --detach` started."""
        ran = self.hf("jobs", "run", "--detach", "--quiet", "--timeout", "5m", *words)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout.strip()

    def _run(self, words: list[str], env: dict[str, str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(words, env=env, cwd=self.home, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Where a script is."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/plain")
            self.send_header("content-length", str(len(SCRIPT)))
            self.end_headers()
            self.wfile.write(SCRIPT)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/train.py"
        server.shutdown()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("door")
    home = folder / "home"
    home.mkdir()
    with (
        SandboxServer(Options(folder=folder / "jobs")) as sandbox,
        Service(folder / "service", sandbox.url, TUNEGATE_SCRIPT_ALLOWED_TARGETS="127.0.0.1") as service,
    ):
        for team, dollars in (("research", 5), ("poor", 0.002)):
            service("POST", "/teams", {"name": team})
            service("PUT", f"/teams/{team}/budget", {"limit_usd": dollars})
        key = service("POST", "/teams/research/keys", {"name": "laptop", "role": "member"}).json()["key"]
        yield Place(service, key, home)


def test_the_command_starts_follows_and_ends_with_the_run(place: Place) -> None:
    ran = place.hf("jobs", "run", "-e", "WHAT=door", "--timeout", "5m", IMAGE, "bash", "-c", 'echo "hello $WHAT"')
    assert ran.returncode == 0, ran.stderr
    assert "hello door" in ran.stdout
    assert "completed" in ran.stdout
    failed = place.hf("jobs", "run", IMAGE, "bash", "-c", "echo bad >&2; exit 4")
    assert failed.returncode == 1
    assert "finished with stage 'ERROR'" in failed.stderr
    assert "No timeout was given" in failed.stderr


def test_a_detached_job_is_seen_followed_and_cancelled(place: Place) -> None:
    job = place.start("--label", "project=seen", "--name", "mine", IMAGE, "bash", "-c", "echo begun; sleep 300")
    assert place.python(FIRST_LINE.format(job=job)).stdout.strip() == "begun"
    (listed,) = json.loads(place.hf("jobs", "ps", "--label", "project=seen", "--format", "json").stdout)
    assert (listed["id"], listed["status"], listed["labels"]["name"]) == (job, "RUNNING", "mine")
    assert job in place.hf("jobs", "ps", "--name", "mine", "--format", "json").stdout
    (inspected,) = json.loads(place.hf("jobs", "inspect", "--format", "json", job).stdout)
    assert inspected["url"] == f"{place.service.url}/jobs/acme/{job}"
    assert "begun" in place.hf("jobs", "logs", job).stdout
    assert place.hf("jobs", "cancel", job).returncode == 0
    waited = place.hf("jobs", "wait", job)
    assert (waited.returncode, "CANCELED" in waited.stdout + waited.stderr) == (1, True)
    assert job not in place.hf("jobs", "ps", "--format", "json").stdout
    assert job in place.hf("jobs", "ps", "-a", "--format", "json").stdout


FIRST_LINE = """\
from huggingface_hub import HfApi
print(next(iter(HfApi().fetch_job_logs(job_id="{job}", follow=True))))
"""


def test_a_token_given_as_a_secret_is_the_jobs_own_inside(place: Place) -> None:
    ran = place.hf(
        "jobs", "run", "--timeout", "5m", "-s", "HF_TOKEN", "-s", f"MINE={place.key}", IMAGE, "bash", "-c", TELL
    )
    assert ran.returncode == 0, ran.stderr
    # hf_sandbox_job is what the service was given for jobs; a log shows no token
    assert "HF_TOKEN 14 MINE 14 no tg_" in ran.stdout
    assert place.key not in ran.stdout + place.service.log
    assert "gets the team's job token as MINE" in ran.stderr


TELL = 'echo "HF_TOKEN ${#HF_TOKEN} MINE ${#MINE} $(env | grep -q tg_ && echo has || echo no) tg_"'


def test_a_run_that_waits_for_money_is_a_job_that_says_so(place: Place) -> None:
    key = place.service("POST", "/teams/poor/keys", {"name": "p", "role": "member"}).json()["key"]
    ids = []
    for _ in range(2):
        ran = place.hf("jobs", "run", "-d", "-q", "--timeout", "8m", IMAGE, "sleep", "200", key=key)
        ids.append(ran.stdout.strip())
    waited = place.hf("jobs", "wait", "--timeout", "2s", ids[1], key=key)
    assert (waited.returncode, "Timed out" in waited.stderr) == (1, True)
    (job,) = json.loads(place.hf("jobs", "inspect", "--format", "json", ids[1], key=key).stdout)
    assert job["status"]["stage"] == "SCHEDULING"
    assert "(waiting_for_budget)" in job["status"]["message"]
    never = place.hf("jobs", "run", "-d", "--timeout", "2d", IMAGE, "true", key=key)
    assert (never.returncode, "402" in never.stderr, "budget" in never.stderr) == (1, True, True)
    for one in ids:
        assert place.hf("jobs", "cancel", one, key=key).returncode == 0


def test_the_library_runs_lists_waits_and_cancels(place: Place, address: str) -> None:
    ran = place.python(LIBRARY.format(image=IMAGE, address=address))
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == [
        "SCHEDULING acme",
        "['a', 'b']",
        "COMPLETED",
        "True",
        "['fetched --epochs 1'] COMPLETED",
        "CANCELED",
        "True",
        "JobNotFoundError",
    ]


LIBRARY = """\
from huggingface_hub import *
from huggingface_hub.errors import JobNotFoundError
job = run_job(image="{image}", command=["bash", "-c", "echo a; sleep 0.5; echo b"], labels={{"run": "lib"}})
print(job.status.stage, job.owner.name)
print(list(fetch_job_logs(job_id=job.id, follow=True)))
print(wait_for_job(job.id, poll_interval=0.1).status.stage)
print([one.id for one in list_jobs(labels={{"run": "lib"}})] == [job.id])
uv = run_uv_job("{address}", script_args=["--epochs", "1"], timeout="5m")
lines = [line for line in fetch_job_logs(job_id=uv.id, follow=True) if "fetched" in line]
print(lines, wait_for_job(uv.id, poll_interval=0.1).status.stage)
long = run_job(image="{image}", command=["sleep", "300"], timeout="10m")
cancel_job(job_id=long.id)
print(wait_for_job(long.id, poll_interval=0.1).status.stage)
print(any(one.name == "cpu-basic" for one in HfApi().list_jobs_hardware()))
try:
    inspect_job(job_id="run_none")
except JobNotFoundError as error:
    print(type(error).__name__)
"""


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["jobs", "uv", "run", "train.py"], "tunegate submit -- hf jobs uv run"),
        (["jobs", "run", "--namespace", "mallory", IMAGE, "true"], "are in the namespace acme"),
        (["jobs", "run", "python:3.12", "bash"], "TUNEGATE_IMAGE_ALLOWLIST"),
        (["jobs", "run", "--flavor", "cpu-basik", IMAGE, "true"], "Did you mean cpu-basic"),
        (["jobs", "scheduled", "ps"], "POST /schedules"),
        (["jobs", "stats", "run_x"], "tunegate watch run_x"),
        (["jobs", "labels", "run_x", "--label", "a=b"], "PATCH /runs/run_x"),
        (["jobs", "inspect", "run_x"], "there is no run 'run_x'"),
        (["download", "acme/model"], "Set HF_ENDPOINT for the commands about jobs alone"),
    ],
)
def test_what_is_refused_reaches_whoever_typed_it(place: Place, words: list[str], told: str) -> None:
    (place.home / "train.py").write_text("print(1)\n")
    ran = place.hf(*words)
    assert ran.returncode == 1
    assert ran.stderr.count(told) == 1, ran.stderr


def test_the_page_is_typed_as_it_stands(place: Place) -> None:
    found = [(one[1], one[3]) for one in FENCE.finditer((ROOT / "docs" / "hf.md").read_text())]
    assert [language for language, _ in found] == ["bash", "bash", "python", "bash"]
    ran = place.typed("\n".join(text for language, text in found if language == "bash"))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    for told in ("user: acme", "hello from a run", "COMPLETED", "begun\ndone", "cpu-basic", "succeeded"):
        assert told in ran.stdout, told
    for _, text in (one for one in found if one[0] == "python"):
        ran = place.python(text)
        assert (ran.returncode, ran.stdout.splitlines()) == (0, ["trained", "COMPLETED", "True"]), ran.stderr
