"""What the documents tell somebody to type works as it stands: against a real service and a real sandbox."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from service.sandbox.serve import Options, SandboxServer
from tests.docs.pages import README, ROOT, Block, blocks, pages
from tests.docs.rules import ALERTS, DASHBOARD, family, grouped_by, used
from tests.processes import ADMIN_KEY, Service

# Typed into one shell after another: what a page sets (a key, a run) is there for the next one. An answer of 400 and
# above fails the page; curl alone would call it a success.
BEGIN = """\
set -euo pipefail
curl() { command curl --fail-with-body "$@"; }
[ ! -e variables ] || . ./variables
"""
END = "\ndeclare -p TUNEGATE ADMIN AUTH JSON KEY RUN ${LEAD+LEAD} > variables; declare -f field >> variables\n"


def test_every_command_does_what_the_page_says(tmp_path: Path) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    (tmp_path / "data").mkdir()
    said: dict[Path, str] = {}
    with (
        SandboxServer(Options(folder=tmp_path / "jobs")) as sandbox,
        Service(tmp_path / "data", sandbox.url) as service,
    ):
        env = {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "TUNEGATE": service.url,
            "TUNEGATE_ADMIN_KEY": ADMIN_KEY,
            "HOME": str(tmp_path),
        }
        for page in pages():
            typed = "\n".join(typeable(block) for block in blocks("bash") if block.page == page)
            ran = subprocess.run(
                ["bash", "-c", f"{BEGIN}{typed}{END}"],
                capture_output=True,
                text=True,
                env=env,
                cwd=tmp_path,
                timeout=120,
                check=False,
            )
            assert ran.returncode == 0, f"{page.relative_to(ROOT)}: {ran.stdout[-3000:]}\n{ran.stderr[-3000:]}"
            said[page] = ran.stdout
        run = service("GET", "/runs").json()["data"][-1]
        answered = make_every_call(tmp_path, env)
        service("POST", "/queue/pause")
        waits = {"recipe": {"kind": "script", "source": "print(1)"}, "flavor": "cpu-basic", "timeout": "10m"}
        assert service("POST", "/runs", {**waits, "team": "research"}).status_code == 201
        scraped = service("GET", "/metrics").text
    assert run["state"] == "succeeded"
    assert run["output"]["verified"] is True
    for told in (run["id"], "Model pushed to the Hub", run["output"]["revision"], '"kind":"charge"'):
        assert told in said[README]
    for name, told in TELLS.items():
        assert told in said[ROOT / "docs" / name], name
    assert len(answered) > 80
    refused = [f"{place}: {code}" for place, code in answered.items() if code not in TAKEN]
    assert not refused, "\n".join(refused)
    exported = {family(name) for name in re.findall(r"^(tunegate_\w+)[ {]", scraped, re.M)}
    assert exported == used(DASHBOARD), "the dashboard shows what there is, and nothing else"
    assert used(ALERTS) <= exported
    assert grouped_by(DASHBOARD) | grouped_by(ALERTS) <= {"instance", "job", *re.findall(r"[{,](\w+)=", scraped)}


def typeable(block: Block) -> str:
    """A block as it is typed; one that has no end of its own is heard for a second, and must have said something."""
    if block.kind == "endless":
        return f"heard=$(timeout 1 {block.text.strip()} || true)\n[[ $heard == *data:* ]]"
    return block.text if block.kind is None else ""


def make_every_call(folder: Path, env: dict[str, str]) -> dict[str, int]:
    """The status that each example of docs/api.md was answered with, by its place."""
    calls = [block for block in blocks("bash") if block.kind == "route"]
    typed = "\n".join([BEGIN, IDS, ASKS_FOR_STATUS, *(block.text for block in calls)])
    ran = subprocess.run(
        ["bash", "-c", typed], capture_output=True, text=True, env=env, cwd=folder, timeout=120, check=False
    )
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]
    return dict(zip((block.place for block in calls), map(int, ran.stdout.split()), strict=True))


# The ids that docs/api.md speaks of. What is deleted, or has ended, is there no more for the calls that follow.
IDS = """\
KEY_ID=$(curl -sS -H "$LEAD" -H "$JSON" "$TUNEGATE/teams/research/keys" \
  -d '{"name": "other", "user": "carol@acme.com", "role": "viewer"}' | field '["id"]')
HOOK=$(curl -sS -H "$LEAD" -H "$JSON" "$TUNEGATE/webhooks" -d '{"url": "http://127.0.0.1:1/"}' | field '["id"]')
DELIVERY=dlv_none TOKEN=none SCHEDULE=sch_none TRIGGER=trg_none SWEEP=swp_none
"""
ASKS_FOR_STATUS = "curl() { command curl -o answer -w '%{http_code}\\n' \"$@\"; }"
TAKEN = {200, 201, 202, 204, 404, 409, 401}  # the last: of the Hub's own call, without its secret


# What a page's commands bring to light, where anything does.
TELLS = {
    "install.md": '"role":"admin"',
    "runs.md": "cpu-basic        $0.01/h",
    "budgets.md": "approval_refused",
    "security.md": '"labs"',
    "troubleshooting.md": '"cause": "missing_dependency"',
    "operations.md": "tunegate_budget_limit_usd",
}
