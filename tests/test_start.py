"""What a start leaves out, as an idle service would only hold it in its memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

LATER = ("huggingface_hub.hf_api", "alembic", "psycopg", "authlib", "apprise")
START = f"""
import sys
from service.assembly import assemble
from service.settings import Settings
made = assemble(Settings())
print([name for name in {LATER} if name in sys.modules], made.app.openapi_schema)
made.stop_steps()
"""


def test_a_start_leaves_out_what_an_idle_service_does_without(tmp_path: Path) -> None:
    settings = {
        "TUNEGATE_DATABASE_URL": f"sqlite:///{tmp_path / 'tunegate.db'}",
        "TUNEGATE_DATA_DIR": str(tmp_path),
        "TUNEGATE_HF_ENDPOINT": "http://127.0.0.1:9",
        "TUNEGATE_HF_TOKEN": "hf_control",
        "TUNEGATE_JOB_HF_TOKEN": "hf_job",
    }
    told = [
        subprocess.run([sys.executable, "-c", START], env=settings, capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    ]
    assert told[0].startswith("['alembic'] None\n")  # there were tables to make
    assert told[1].startswith("[] None\n")
