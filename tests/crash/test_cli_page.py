"""What docs/cli.md shows is typed as it stands, from the first block to the last, by the real command in a shell."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from service.sandbox.serve import Options, SandboxServer
from tests.processes import ADMIN_KEY, Service

PAGE = (Path(__file__).parent.parent.parent / "docs" / "cli.md").read_text()


def test_the_blocks_of_the_page_are_typed_in_their_order(tmp_path: Path) -> None:
    with (
        SandboxServer(Options(folder=tmp_path / "jobs")) as sandbox,
        Service(tmp_path / "service", sandbox.url) as service,
    ):
        here = tmp_path / "here"
        here.mkdir()
        _type(service, here)


def _type(served: Service, here: Path) -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.M | re.S)
    assert len(blocks) > 9
    env = {
        **os.environ,
        **served.settings,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "TUNEGATE_URL": served.url,
        "TUNEGATE_KEY": ADMIN_KEY,
        "HOME": str(here),
    }
    script = "set -euo pipefail\n" + "\n".join(blocks)
    ran = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, env=env, cwd=here, timeout=150, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    for told in (
        "vision/month",
        "HF_TOKEN is left out",
        "succeeded",
        "training",
        '"max_steps": 200',
        "it did not succeed",
        "point 3, eval loss 0.25: rate=4",
        "30 2 * * 1-5, in Europe/Berlin",
        "paused by laptop",
    ):
        assert told in ran.stdout + ran.stderr, told
    assert (here / "usage.csv").read_text().startswith("day,")
    assert (here / "elsewhere" / "tunegate.db").exists()
    assert "\x1b" not in ran.stdout
