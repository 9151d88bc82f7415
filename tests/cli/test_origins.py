"""Schedules, triggers and sweeps by command: made out of a file, named by their names, told in tables and as JSON."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from service.cli.origins import came
from service.client.origin_records import LastTime
from tests.cli.conftest import Command

SWEEP = """
name: rates
run:
  recipe:
    kind: script
    source: "import sys; print({'eval_loss': float(sys.argv[1]), 'step': 5})"
    args: ["{{lr}}"]
  flavor: cpu-basic
  timeout: 5m
grid:
  lr: [2.5, 5e-1]
max_cost_usd: 0.01
"""
RUN = {"recipe": {"kind": "script", "source": "print(1)", "args": ["{{date}}"]}, "flavor": "cpu-basic", "timeout": "5m"}
SCHEDULE = {"name": "nightly", "cron": "30 2 * * *", "time_zone": "Europe/Berlin", "run": RUN}
TRIGGER = {"name": "new chats", "repo_type": "dataset", "repo": "acme/tiny-chat-data", "run": RUN}


def test_a_sweep_is_made_followed_and_shown(tunegate: Command, here: Path) -> None:
    (here / "sweep.yaml").write_text(SWEEP)
    sweep_id, told = tunegate("sweeps", "make", "sweep.yaml", "--idempotency-key", "once").split(maxsplit=1)
    assert told == "2 points  $0.01 at most together\n"
    assert "they would cost" not in tunegate.err
    assert tunegate("sweeps", "make", "sweep.yaml", "--idempotency-key", "once").split()[0] == sweep_id
    tunegate("sweeps", "make", "sweep.yaml", code=3)
    assert sweep_id in tunegate.err, "the name is taken while it goes on"
    out = tunegate("sweeps", "show", "-f", "rates")
    assert re.search(r"^  2  run_\w+  succeeded   step 5, eval loss 0\.5$", out, re.M)
    assert re.search(r"^1 +succeeded +5 +2\.5 +0\.000167 +run_\w+ +lr=2\.5 *$", out, re.M)
    assert re.search(r"^2 +succeeded, best +5 +0\.5 +0\.000167 +run_\w+ +lr=0\.5 *$", out, re.M)
    assert re.search(r"^state +ended, 2 succeeded *$", out, re.M)
    assert re.search(r"^what +2 of 2 points have ended; the best is point 2, with a loss of 0\.5 *$", out, re.M)
    assert re.search(r"^charged +\$0\.000334 of \$0\.01", out, re.M)
    assert re.search(r"^best +point 2, eval loss 0\.5: lr=0\.5 *$", out, re.M)
    assert "a script {{lr}}, on cpu-basic" in out
    assert tunegate.json("sweeps", "show", sweep_id)["best"]["number"] == 2
    assert re.search(
        rf"^{sweep_id} +0\.000334 +0\.01\d* +rates: ended, 2 succeeded; point 2, eval loss 0\.5: lr=0\.5",
        tunegate("sweeps"),
        re.M,
    )
    assert tunegate.json("sweeps", "-n", "1")["data"][0]["id"] == sweep_id
    tunegate("sweeps", "cancel", sweep_id, code=3)


def interrupt(_seconds: float) -> None:
    raise KeyboardInterrupt


def test_a_cancelled_sweep_is_no_success(tunegate: Command, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = SWEEP.replace("print(", "__import__('time').sleep(600); print(").replace("0.01", "0.0015")
    sweep_id = tunegate("sweeps", "make", "-", stdin=body).split()[0]
    assert "Each at its most they would cost $0.002004: what does not fit waits." in tunegate.err
    with monkeypatch.context() as patched:
        patched.setattr("service.cli.sweeps.time.sleep", interrupt)
        tunegate("sweeps", "show", "-f", sweep_id, code=130)
    assert tunegate.err.startswith(f"{sweep_id} goes on: ")
    assert sweep_id in tunegate("sweeps", "cancel", "rates"), "of two of the name the one that goes on"
    sweep = tunegate.json("sweeps", "show", "--follow", "rates", code=1)
    assert (sweep["id"], sweep["state"]) == (sweep_id, "cancelled")
    assert "cancelled" in tunegate.err, "what its points did, beside the document"


def test_a_point_that_is_refused_is_named(tunegate: Command) -> None:
    tunegate("sweeps", "make", "-", stdin=SWEEP.replace("timeout: 5m", "timeout: '{{lr}}m'"), code=3)
    assert tunegate.err.startswith("Point 2, lr=0.5:\ninvalid: run.timeout: ")


def test_a_schedule_by_its_name(tunegate: Command, here: Path) -> None:
    (here / "nightly.json").write_text(json.dumps(SCHEDULE))
    schedule_id, name, *_ = tunegate("schedules", "make", "nightly.json").split()
    assert name == "nightly"
    assert re.search(
        rf"^{schedule_id} +\d{{4}}-\d\d-\d\d 0[01]:30 UTC +nightly: nothing yet *$", tunegate("schedules"), re.M
    )
    out = tunegate("schedules", "show", "nightly")
    assert "30 2 * * *, in Europe/Berlin" in out
    assert len(re.findall(r"\d 0[01]:30 UTC", out)) == 5
    assert "a script {{date}}, on cpu-basic" in out
    tunegate("schedules", "pause", "nightly")
    assert "paused by cli" in tunegate("schedules")
    run = tunegate.json("schedules", "run", "nightly")
    assert run["origin"] == schedule_id
    assert tunegate("schedules", "run", schedule_id).startswith("run_")
    assert tunegate.json("schedules", "resume", "nightly")["paused_at"] is None
    assert tunegate("schedules", "remove", "nightly") == "Removed.\n"
    tunegate("schedules", "show", "nightly", code=4)
    assert tunegate("schedules") == "There is no schedule.\n"


def test_a_trigger_and_its_secret(tunegate: Command, here: Path) -> None:
    secret = tunegate("triggers", "make", "-", stdin=json.dumps(TRIGGER)).strip()
    assert re.fullmatch(r"\S{20,}", secret), "alone on standard output"
    hook = re.search(r"^http://127\.0\.0\.1:\d+/hooks/hub/(trg_\w+)$", tunegate.err, re.M)
    assert hook is not None
    other = tunegate("triggers", "rotate-secret", "new chats").strip()
    assert other not in (secret, "")
    assert re.search(rf"^{hook[1]} +- +new chats, of acme/tiny-chat-data: nothing yet *$", tunegate("triggers"), re.M)
    assert hook[0] in tunegate("triggers", "show", "new chats")
    assert tunegate("triggers", "run", hook[1]) == "acme/tiny-chat-data is looked at now.\n"
    assert re.search(r"^next look +\d{4}-\d\d-\d\d", tunegate("triggers", "show", "new chats"), re.M)
    tunegate("triggers", "pause", "new chats")
    assert "paused by cli" in tunegate("triggers")
    tunegate("triggers", "resume", "new chats")
    tunegate("triggers", "remove", "new chats")


def test_what_came_of_the_last_time() -> None:
    at = {"planned_at": "2026-11-30T01:30:00Z"}
    began = LastTime.of({**at, "outcome": "started", "message": None, "run_id": "run_1"})
    skipped = LastTime.of({**at, "outcome": "skipped", "message": "run_1 has not ended", "run_id": None})
    assert [came(None), came(began), came(skipped)] == ["nothing yet", "started, run_1", "skipped, run_1 has not ended"]


@pytest.mark.parametrize(
    ("body", "code", "told"),
    [
        ("name: nightly", 3, "run"),
        ("[1]", 2, "holds no fields"),
        ("on: {}", 2, "holds no fields"),
        ("a: [", 2, "neither YAML nor JSON"),
        ('{"name": "nightly", "crown": "1", "run": {}}', 3, "cron"),
    ],
)
def test_what_is_no_schedule_is_refused(tunegate: Command, body: str, code: int, told: str) -> None:
    tunegate("schedules", "make", "-", stdin=body, code=code)
    assert told in tunegate.err


def test_a_name_that_two_teams_have_is_no_name(as_admin: Command) -> None:
    for team in ("research", "poets"):
        if team == "poets":
            as_admin("teams", "create", team)
        as_admin("schedules", "make", "-", "--team", team, stdin=json.dumps({**SCHEDULE, "name": "twice"}))
    as_admin("schedules", "pause", "twice", code=2)
    assert "2 are called twice." in as_admin.err
    for schedule_id in re.findall(r"sch_\w+", as_admin.err):
        as_admin("schedules", "remove", schedule_id)
