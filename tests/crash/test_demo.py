"""`tunegate demo` notices when things do not go as told; that it ends well is for `make demo` to show (`.ci/run`)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run_demo(tmp_path: Path, script: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "service", "demo", "--folder", str(tmp_path / "demo"), "--script", str(script)]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)


def test_the_demo_fails_where_a_run_publishes_nothing(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    source = (ROOT / "examples" / "tiny_sft.py").read_text()
    script.write_text(source.replace("        push(folder, options.output_repo)", "        pass"))
    ran = run_demo(tmp_path, script)
    assert ran.returncode == 1
    assert "not as told" in ran.stdout
