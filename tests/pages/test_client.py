"""What docs/client.md shows runs as it stands, from the first block to the last."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from service.client import Tunegate
from tests.processes import Service

ROOT = Path(__file__).parent.parent.parent


def test_the_blocks_of_the_clients_page_run_in_their_order(client: Tunegate, served: Service, tmp_path: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", (ROOT / "docs" / "client.md").read_text(), re.M | re.S)
    assert len(blocks) > 7
    key = client.keys.create("research", name="docs", role="member").key
    page = tmp_path / "page.py"
    page.write_text("\n".join(blocks))
    env = {**os.environ, "TUNEGATE_URL": served.url, "TUNEGATE_KEY": key}
    ran = subprocess.run(
        [sys.executable, "-W", "error", page], capture_output=True, text=True, env=env, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "succeeded 0.000167 None" in ran.stdout
    assert "1 1 step 2" in ran.stdout
    assert "\n1 {'seed': 1} succeeded 1.5 0.000167 True\n2 {'seed': 2} succeeded 1.5 0.000167 False\n" in ran.stdout
    assert "unknown_flavor flavor" in ran.stdout
    assert ran.stdout.endswith("hello\nsucceeded\n400\n")
