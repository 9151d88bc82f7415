"""Where trainings run: the service before a sandbox whose jobs have the real TRL, and what they train, on its Hub."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import trl
from huggingface_hub import HfApi

from service.domain.trl.command import TRL_SCRIPT_URL
from service.sandbox.serve import Options, SandboxServer
from tests.processes import Service
from tests.trl import tiny

ROWS = 64
# jobs at a time: each has one thread, and starting them is most of their work
AT_ONCE = 3
SMALL_CARD = Path(__file__).parent / "small_card"


@contextmanager
def opened(folder: Path) -> Iterator[Service]:
    """The service as a process, with a team and its money; the script's address leads to the installed release's file,
    unmodified."""
    script = Path(trl.__file__).parent / "scripts/sft.py"
    options = Options(
        folder=folder / "jobs",
        python_env=environment(folder / "env"),
        url_map=((TRL_SCRIPT_URL.format(version=trl.__version__), str(script)),),
        max_running=AT_ONCE,
    )
    with SandboxServer(options) as sandbox, Service(folder / "service", sandbox.url) as service:
        upload(sandbox.url, folder)
        for method, path, body in (
            ("POST", "/teams", {"name": "research"}),
            ("PUT", "/teams/research/budget", {"period": "month", "limit_usd": 100}),
        ):
            assert service(method, path, body).is_success
        yield service


def environment(folder: Path) -> Path:
    """This environment as the jobs' own, in which each Python begins with `small_card`."""
    (folder / "bin").mkdir(parents=True)
    python = folder / "bin/python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={SMALL_CARD} exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    (folder / "bin/accelerate").symlink_to(Path(sys.executable).with_name("accelerate"))
    return folder


def upload(url: str, folder: Path) -> None:
    """Models and datasets. `acme/sums` has two commits: the first has all rows, the second hardly any."""
    hub = HfApi(endpoint=url, token="hf_sandbox")
    tiny.make_model(folder / "model")
    tiny.make_rows(folder / "rows", ROWS)
    tiny.make_rows(folder / "few", 4)
    tiny.make_pairs(folder / "pairs", ROWS)
    tiny.make_questions(folder / "questions", ROWS)
    tiny.make_facts(folder / "facts")
    hub.create_repo("acme/tiny-base")
    hub.upload_folder(repo_id="acme/tiny-base", folder_path=folder / "model")
    for name, parts in (("sums", ("rows", "few")), *((one, (one,)) for one in ("pairs", "questions", "facts"))):
        hub.create_repo(f"acme/{name}", repo_type="dataset")
        for at, part in enumerate(parts):
            hub.upload_folder(repo_id=f"acme/{name}", repo_type="dataset", folder_path=folder / part)
            if at == 0:
                hub.create_tag(f"acme/{name}", repo_type="dataset", tag="full")
    other = HfApi(endpoint=url, token="hf_sandbox_broke")
    other.create_repo("broke/tiny-gated")
    other.upload_folder(repo_id="broke/tiny-gated", folder_path=folder / "model")
    switches: dict[str, object] = {"broke/tiny-gated": {"gated": True}}
    for status in (403, 500):
        hub.create_repo(f"acme/sealed-{status}")
        switches[f"acme/sealed-{status}"] = {"refuse_commits": {"status": status}}
    for repo, switch in switches.items():
        httpx2.post(f"{url}/sandbox/repos/models/{repo}", json=switch, trust_env=False).raise_for_status()
