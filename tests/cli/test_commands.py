"""Every command against a running service: what it prints, as tables and as JSON, and with which exit code."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

from service.cli.demo_parts import free_port
from service.cli.show import ceiling
from tests.cli.conftest import Command
from tests.receiver import Receiver

HELLO = "print('hello')\n"
BROKEN = "raise ValueError('no such thing')\n"
CHEAP = ("--flavor", "cpu-basic", "--timeout", "5m")


def submitted(tunegate: Command, here: Path, text: str = HELLO, *more: str, code: int = 0) -> str:
    (here / "train.py").write_text(text)
    out = tunegate("submit", "train.py", *CHEAP, *more, code=code)
    found = re.search(r"run_\w+", out + tunegate.err)
    assert found is not None
    return found[0]


def test_a_run_from_submit_to_usage(tunegate: Command, here: Path) -> None:
    run_id = submitted(tunegate, here, HELLO, "--label", "of=cli", "--wait")
    assert "succeeded" in tunegate.out
    assert "$0.000167" in tunegate.out
    assert f"{run_id}  queued" in tunegate.err
    run = tunegate.json("show", run_id)
    assert (run["id"], run["state"], run["object"]) == (run_id, "succeeded", "run")
    assert tunegate("logs", run_id) == "hello\n"
    assert tunegate("logs", run_id, "--contains", "nothing") == ""
    assert [line["line"] for line in tunegate.json("logs", run_id)["data"]] == ["hello"]
    assert json.loads(tunegate("logs", "-f", run_id, "--json"))["line"] == "hello"
    assert run_id in tunegate("runs", "--label", "of=cli")
    assert [run["id"] for run in tunegate.json("runs", "--label", "of=cli")["data"]] == [run_id]
    assert "done for" in tunegate("explain", run_id)
    assert tunegate.json("explain", run_id)["run_id"] == run_id
    assert "charged $" in tunegate("usage", "--group-by", "flavor")
    assert tunegate("usage", "-g", "flavor", "--csv").startswith("flavor,runs,")
    assert tunegate.json("usage", "-g", "team")["data"][0]["team"] == "research"


def test_submit_follows_a_log_and_tells_a_failure(tunegate: Command, here: Path) -> None:
    run_id = submitted(tunegate, here, BROKEN, "--follow", code=1)
    assert "ValueError: no such thing" in tunegate.out
    assert "script_error" in tunegate.out
    shown = tunegate("show", run_id)
    assert "cause" in shown
    assert "remedy" in shown
    tunegate("retry", run_id, "--with-remedy", "--yes", code=3)
    assert "No remedy is offered" in tunegate.err
    slow = "recipe.source=import time; time.sleep(300)"  # it is to be cancelled before it ends by itself
    again = tunegate("retry", run_id, "--set", "recipe.args=[]", "--set", "timeout=6m", "--set", slow)
    new_id = again.split()[0]
    run = tunegate.json("show", new_id)
    assert (run["retry_of"], run["timeout_seconds"]) == (run_id, 360)
    assert tunegate("cancel", new_id).startswith(new_id)
    tunegate("watch", new_id, code=1)


def test_a_file_is_changed_by_options_and_a_dry_run_sends_nothing(tunegate: Command, here: Path) -> None:
    (here / "run.yaml").write_text(
        "recipe:\n  kind: trl_sft\n  model_name_or_path: a/b\n  dataset_name: c/d\n  args: {learning_rate: 5e-5}\n"
        "flavor: a10g-large\ntimeout: 1h\nstart_before: 2027-01-01T00:00:00Z\n"
    )
    body = json.loads(
        tunegate("submit", "run.yaml", "--arg", "max_steps=10", "--set", "recipe.lora.r=8", "-l", "a=b", "--dry-run")
    )
    assert body["recipe"]["args"] == {"learning_rate": 5e-5, "max_steps": 10}
    assert body["recipe"]["lora"] == {"r": 8}
    assert body["start_before"] == "2027-01-01T00:00:00Z"
    assert body["labels"] == {"a": "b"}
    assert json.loads(tunegate("submit", "-", "--dry-run", stdin=json.dumps(body))) == body
    secrets = ("-s", "WANDB_API_KEY", "-s", "X=team:wandb")
    hidden = tunegate("submit", "run.yaml", *secrets, "--dry-run", WANDB_API_KEY="w1")
    assert json.loads(hidden)["secrets"] == {"WANDB_API_KEY": "[not shown]", "X": {"ref": "wandb"}}
    tunegate("submit", "-", code=2, stdin=hidden)
    assert "the secret WANDB_API_KEY is not in the file" in tunegate.err
    tunegate("submit", "-", "-s", "WANDB_API_KEY", "--dry-run", stdin=hidden, WANDB_API_KEY="w1")


def test_what_is_no_request_is_told_before_anything_is_sent(tunegate: Command, here: Path) -> None:
    (here / "list.yaml").write_text("[1]")
    (here / "broken.yaml").write_text("a: [")
    for words, told in [
        ((), "nothing to train with"),
        (("missing.py",), "no script missing.py"),
        (("list.yaml",), "holds no fields"),
        (("broken.yaml",), "neither YAML nor JSON"),
        (("missing.yaml",), "cannot be read"),
        (("--model", "a/b", "--arg", "x"), "is not NAME=VALUE"),
        (("--model", "a/b", "--dataset", "c/d"), "No flavor is named"),
        (("--model", "a/b", "-s", "NOT_SET"), "NOT_SET is not set"),
        (("--model", "a/b", "-s", "TOKEN=secret"), "shell's history"),
        (("list.yaml", "more"), "behind list.yaml"),
        (("train.py", "--epochs", "1"), "behind `--`"),
        (("--", "trl", "sft", "--model_name_or_path", "a/b", "--dataset_name", "c/d"), "No flavor is named"),
    ]:
        tunegate("submit", *words, code=2)
        assert told in tunegate.err, words
        assert "secret\n" not in tunegate.err
    tunegate("nonsense", code=2)


def test_refusals_have_a_code_a_remedy_and_an_exit_code_of_their_own(tunegate: Command, here: Path) -> None:
    (here / "train.py").write_text(HELLO)
    tunegate("submit", "train.py", "--flavor", "cpu-bsic", "--timeout", "5m", code=3)
    assert tunegate.err.startswith("unknown_flavor: ")
    assert "cpu-basic" in tunegate.err
    tunegate("show", "run_none", code=4)
    assert tunegate.err.startswith("not_found: ")
    tunegate("runs", code=3, TUNEGATE_KEY="tg_wrong")
    assert "TUNEGATE_KEY" in tunegate.err
    tunegate("runs", code=78, TUNEGATE_URL="nonsense")
    assert "Traceback" not in tunegate.err + tunegate.out


def test_each_of_several_runs_is_cancelled(tunegate: Command, here: Path) -> None:
    ended = submitted(tunegate, here, HELLO, "--wait")
    live = submitted(tunegate, here, "import time; time.sleep(600)")
    tunegate("cancel", "run_none", ended, live, code=4)
    assert [line.split()[0] for line in tunegate.err.splitlines()] == ["run_none", ended]
    assert tunegate.out.startswith(live)
    tunegate("watch", live[-6:], code=1)
    assert tunegate.json("show", live[-6:])["state"] == "cancelled"
    tunegate("show", "zzzzzz", code=4)


def test_json_and_follow_make_one_document(tunegate: Command, here: Path) -> None:
    (here / "train.py").write_text(HELLO)
    assert tunegate.json("submit", "train.py", *CHEAP, "--follow")["state"] == "succeeded"
    assert "hello" in tunegate.err


def test_what_cannot_be_written_is_told_in_a_line(tunegate: Command, here: Path) -> None:
    run_id = submitted(tunegate, here, "for number in range(20000): print(number)", "--wait")
    environment = {**os.environ, **tunegate.env}
    words = [sys.executable, "-m", "service"]
    with open("/dev/full", "w") as full:
        ran = subprocess.run([*words, "runs"], stdout=full, stderr=subprocess.PIPE, text=True, env=environment)
    assert (ran.returncode, ran.stderr) == (78, "standard output cannot be used: No space left on device.\n")
    piped = f"set -o pipefail; {shlex.join(words)} logs -f {run_id} | head -3"
    ran = subprocess.run(["bash", "-c", piped], capture_output=True, text=True, env=environment)
    assert (ran.returncode, ran.stdout, ran.stderr) == (141, "0\n1\n2\n", "")
    (here / "file").write_text("")
    tunegate("login", code=78, XDG_CONFIG_HOME=str(here / "file"))
    assert tunegate.err.count("\n") == 1


def test_ctrl_c_at_a_question_is_130(tunegate: Command, here: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "service", "login"],
        env={**os.environ, "TUNEGATE_URL": "", "TUNEGATE_KEY": "", "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # what a shell starts in the background ignores it, and so would this
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        assert process.stdout is not None
        assert process.stdout.read(9) == b"Where is "
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130


def test_a_ceiling_is_never_told_too_low() -> None:
    assert ceiling(3.025) == "3.03"
    assert ceiling(3.02) == "3.02"
    assert ceiling(0.001002) == "0.001002"


def test_a_service_that_is_not_there_is_told_of(tunegate: Command) -> None:

    url = f"http://127.0.0.1:{free_port()}"
    tunegate("--url", url, "runs", code=5)
    assert url in tunegate.err
    assert "tunegate serve" in tunegate.err


def test_what_waits_is_steered(tunegate: Command, as_admin: Command, here: Path) -> None:
    as_admin("queue", "pause")
    try:
        run_id = submitted(tunegate, here)
        assert "queued" in tunegate("pause", run_id)
        assert "held" in tunegate("queue")
        assert run_id in [item["run_id"] for item in tunegate.json("queue")["data"]]
        assert "paused" in tunegate("explain", run_id)
        tunegate("resume", run_id)
        tunegate("approve", run_id, code=3)
        tunegate("refuse", run_id, code=3)
        tunegate("cancel", run_id, "--json")
    finally:
        as_admin("queue", "resume")
    tunegate("watch", run_id, code=1)
    assert tunegate.out.splitlines()[-1].split()[1] == "cancelled"


def test_many_runs_are_watched_to_their_ends(tunegate: Command, here: Path) -> None:
    ids = [submitted(tunegate, here, "import time; time.sleep(1)\n") for _ in range(2)]
    tunegate("watch", *ids)
    last = {line.split()[0]: line.split()[1] for line in tunegate.out.splitlines()}
    assert last == dict.fromkeys(ids, "succeeded")
    one = submitted(tunegate, here, "import time; time.sleep(1)\n")
    events = [json.loads(line)["type"] for line in tunegate("watch", "--json").splitlines()]
    assert events[-1] == "run.succeeded"
    assert tunegate.json("show", one)["state"] == "succeeded"


def test_an_estimate_is_a_table_and_json(tunegate: Command) -> None:
    words = (
        "estimate", "--model", "HuggingFaceTB/SmolLM3-3B", "--dataset", "HuggingFaceTB/smoltalk2_everyday_convs_think",
        "--arg", "max_steps=100", "--timeout", "2h", "--output", "acme/x",
    )  # fmt: skip
    assert "a100-large" in tunegate(*words)
    assert "at most $" in tunegate.out
    assert {"flavors", "recommended"} <= set(tunegate.json(*words))


def test_money_teams_keys_and_webhooks(as_admin: Command) -> None:
    assert "Made." in as_admin("teams", "create", "painters")
    assert "0.00" in as_admin("budget", "set", "painters", "0")
    assert "left" in as_admin("budget", "grant", "painters", "2.5", "--comment", "more")
    assert as_admin.json("budget", "grant", "painters", "-0.5")["granted_usd"] == 2.0
    assert "$2.00 of $2.00" in as_admin("budget", "show", "painters")
    assert re.search(r"painters/month +2\.00 +2\.00", as_admin("budget"))
    assert "painters" in as_admin("teams")
    assert as_admin.json("teams", "limits", "painters", "--runs", "3")["max_concurrent_runs"] == 3
    assert "3" in as_admin("teams", "limits", "painters")
    as_admin("teams", "pause", "painters")
    as_admin("teams", "resume", "painters")
    as_admin("teams", "change", "painters", "--time-zone", "Europe/Paris")
    assert as_admin.json("teams", "cancel-runs", "painters", "--yes")["runs"] == 0
    key = as_admin("keys", "create", "ci", "--team", "painters").strip()
    assert re.fullmatch(r"tg_\S+", key), "alone on standard output"
    [told] = as_admin.json("keys", "--team", "painters")["data"]
    assert told["role"] == "member"
    assert re.fullmatch(r"tg_\S+", as_admin("keys", "rotate", told["id"], "--team", "painters").strip())
    as_admin("keys", "revoke", told["id"], "--team", "painters")
    assert "revoked" in as_admin("keys", "--team", "painters")
    with Receiver() as receiver:
        secret = as_admin("webhooks", "add", receiver.url, "--event", "run.*", "--team", "painters").strip()
        assert secret.startswith("whsec_")
        [endpoint] = [one["id"] for one in as_admin.json("webhooks")["data"] if one["team"] == "painters"]
        assert "delivered" in as_admin("webhooks", "test", endpoint)
        [delivery] = as_admin.json("webhooks", "deliveries", endpoint)["data"]
        assert "200" in as_admin("webhooks", "deliveries", endpoint) or "204" in as_admin.out
        as_admin("webhooks", "redeliver", endpoint, delivery["id"])
        as_admin("webhooks", "redeliver", endpoint, "--since", "2026-01-01T00:00:00Z")
        as_admin("webhooks", "redeliver", endpoint, code=2)
        assert as_admin("webhooks", "rotate-secret", endpoint).startswith("whsec_")
        as_admin("webhooks", "disable", endpoint)
        as_admin("webhooks", "enable", endpoint)
        receiver.answer = lambda _letter: (500, {})
        as_admin("webhooks", "test", endpoint, code=1)
        as_admin("webhooks", "remove", endpoint)
    as_admin("teams", "archive", "painters")
    as_admin("teams", "unarchive", "painters")
    as_admin("budget", "remove", "painters")
    assert "cpu-basic" in as_admin("flavors")
    assert as_admin.json("flavors")["data"][0]["price_per_minute_usd"] > 0


HUB_IS_DOWN = """import sys
print("Traceback (most recent call last):")
print('  File "/x/huggingface_hub/utils/_http.py", line 402, in hf_raise_for_status')
print("huggingface_hub.errors.HfHubHTTPError: 503 Server Error: Service Unavailable for url: https://huggingface.co/api")
sys.exit(1)
"""


def test_a_remedy_is_tried_once_its_price_was_told(tunegate: Command, here: Path) -> None:
    run_id = submitted(tunegate, here, HUB_IS_DOWN, "--wait", code=1)
    assert "$0.001002 at the most" in tunegate.out
    new_id = tunegate("retry", run_id, "--with-remedy").split()[0]
    assert tunegate.err.startswith("hub_unavailable: ")
    assert "$0.001002 at the most" in tunegate.err
    assert tunegate.err.count("$") == 1, "the price is said once"
    assert tunegate.json("show", new_id)["retry_of"] == run_id
    tunegate("watch", new_id, code=1)
    assert "remedy" in tunegate("explain", new_id)
    assert "$0.001002 at the most" in tunegate.out
    tunegate("cancel", tunegate("retry", run_id, "--with-remedy", "--set", "timeout=4m").split()[0])


def test_login_keeps_a_key_for_one_service(tunegate: Command, here: Path) -> None:
    url, key = tunegate.env["TUNEGATE_URL"], tunegate.env["TUNEGATE_KEY"]
    tunegate.env = {"TUNEGATE_URL": "", "TUNEGATE_KEY": "", "XDG_CONFIG_HOME": "", "HOME": str(here)}
    tunegate("login", stdin=f"{url}\ntg_wrong\n", code=3)
    assert not list(here.rglob("profile.json"))
    assert "lead of research" in tunegate("login", stdin=f"{url}\n{key}\n")
    assert key not in tunegate.out + tunegate.err
    [kept] = here.rglob("profile.json")
    assert kept.stat().st_mode & 0o777 == 0o600
    assert "research/month" in tunegate("budget")
    tunegate("budget", code=3, TUNEGATE_KEY="tg_other")
    with Receiver() as receiver:
        receiver.answer = lambda _letter: (401, {})
        tunegate("webhooks", "add", "https://a.example/", TUNEGATE_URL=receiver.url, code=3)
        assert "authorization" not in receiver.letters[0].headers, "the key is for the other service"
    tunegate("logout")
    tunegate("budget", code=3, TUNEGATE_URL=url)
