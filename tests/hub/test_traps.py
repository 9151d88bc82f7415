"""The traps of the platform, one test each, against our real code.

Each is something that huggingface_hub or Hugging Face does to a server that calls it with other people's input; what
each one is stands in its test's first line.
"""

from __future__ import annotations

import ast
import json
import os
import pickle
import re
import subprocess
import sys
import textwrap
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from service.assembly import Misconfigured, open_gate
from service.domain.job import JobSpec
from service.hub import bounds, follower
from service.hub.client import HubClient
from service.hub.faults import HubFault, HubRefused, HubUnavailable, HubUnclear
from service.hub.streams import Until
from service.settings import Settings
from tests.api.conftest import Api, api, database_url, keys
from tests.api.test_runs import BODY, submit
from tests.conftest import Clock
from tests.flow.conftest import World, settled, world
from tests.hostile_hub import Hostile, Said, hostile

__all__ = ["api", "database_url", "keys", "settled", "world"]
SERVICE = Path(__file__).parents[2] / "service"
JOB = {"id": "6a56d1f2f5b1c0a1b2c3d4e5", "status": {"stage": "SCHEDULING"}}
SPEC = JobSpec("image", ("true",), "cpu-basic", 60, {}, {"HF_TOKEN": "hf_job", "KEY": "the-secret-value"}, {})
CONTROL, OF_JOBS = "hf_control_token", "hf_token_of_jobs"


@pytest.fixture
def there() -> Iterator[Hostile]:
    with hostile() as one:
        yield one


def client(there: Hostile, seconds: float = 5, tokens: tuple[str, str] = (CONTROL, OF_JOBS)) -> HubClient:
    return HubClient(there.url, *tokens, clock=Clock(), timeout_seconds=seconds)


def created(world: World) -> dict[str, Any]:
    """The body of the one create call."""
    [body] = [
        body
        for (method, path), body in zip(world.wire.seen, world.wire.bodies, strict=True)
        if (method, path) == ("POST", "/api/jobs/acme")
    ]
    value: dict[str, Any] = json.loads(body)
    return value


def refused(api: Api, field: str, code: str = "invalid", **fields: Any) -> bool:
    answer = api("POST", "/runs", json={**BODY, **fields})
    problem = answer.json()
    assert (answer.status_code, problem.get("code")) == (422, code), answer.text
    return problem["field"].startswith(field)


def names_in(*parts: str) -> set[str]:
    """Everything that the code of some parts of the service calls, imports or has for an attribute."""
    found = set()
    for path in (path for part in parts for path in (SERVICE / part).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Name | ast.Attribute):
                found.add(node.id if isinstance(node, ast.Name) else node.attr)
            elif isinstance(node, ast.Import | ast.ImportFrom):
                found |= {alias.name for alias in node.names}
    return found


PARTS = ("flow", "hub", "api", "domain", "store", "web")


def test_trap_1_no_local_file_is_uploaded(api: Api, tmp_path: Path) -> None:
    """run_uv_job uploads every argument that is the name of a file."""
    secret = tmp_path / "secret.env"
    secret.write_text("content-of-a-local-file")
    names = [str(secret), "/proc/self/environ", "/etc/passwd", str(secret.relative_to(tmp_path)), "tests/hostile.py"]
    args = ["--note", *names]
    submit(api, recipe={"kind": "script", "source": "print(1)\n", "args": args})
    api.world.pass_all()
    assert [one for one in created(api.world)["command"] if one in names] == names
    assert b"content-of-a-local-file" not in b"".join(api.world.wire.bodies)
    assert b"root:" not in b"".join(api.world.wire.bodies)
    assert not [path for _, path in api.world.wire.seen if "bucket" in path or "commit" in path or "preupload" in path]
    uploads = {"run_uv_job", "create_scheduled_uv_job", "run_job", "sync_job_volume", "upload_file", "upload_folder"}
    assert not uploads & names_in(*PARTS)


def test_trap_1_a_recipe_names_no_local_file_either(api: Api, tmp_path: Path) -> None:
    """A script, its packages or a dataset by a path of this machine."""
    secret = tmp_path / "train.py"
    secret.write_text("print('content-of-a-local-file')")
    for url in (secret.as_uri(), f"http://127.0.0.1{secret}", str(secret)):
        assert refused(api, "recipe.url", recipe={"kind": "script", "url": url})
    needs = {"kind": "script", "source": "x = 1", "dependencies": [f"local @ {secret.as_uri()}"]}
    assert refused(api, "recipe.dependencies", recipe=needs)


def test_trap_2_arguments_are_never_taken_for_files(api: Api) -> None:
    """run_uv_job raises for an argument like `recipe.yaml` that is no file here, or longer than a file's name."""
    args = ["--config", "recipe.yaml", "train.toml", "x" * 5000, "import os; print('a.py')", "-", "../up.sh"]
    submit(api, recipe={"kind": "script", "source": "print(1)\n", "args": args})
    api.world.pass_all()
    assert created(api.world)["command"][-len(args) :] == args


def test_trap_3_a_list_is_of_its_own_endpoint_with_its_own_token(there: Hostile) -> None:
    """list_jobs without a namespace asks the module's own whoami, at another endpoint with another token."""
    hub = client(there)
    hub.list_jobs("acme", {})
    [asked] = there.asked
    assert (asked.path, asked.headers["authorization"]) == ("/api/jobs/acme", f"Bearer {CONTROL}")
    with pytest.raises(HubRefused):
        hub.list_jobs("", {})
    assert len(there.asked) == 1


NO_NAMES = [
    "../models",
    "alice/../acme",
    "a/cancel",
    "x?y",
    "x#y",
    "..",
    "a..b",
    "",
    ".",
    "a%2fb",
    "acme\n",
    "a b",
    "é",
]


def test_trap_4_no_path_is_smuggled(there: Hostile, api: Api) -> None:
    """Namespace and job id are put into addresses as they are."""
    hub = client(there)
    calls: list[Callable[[str], object]] = [
        lambda name: hub.create_job(name, SPEC),
        lambda name: hub.list_jobs(name, {}),
        lambda name: hub.get_job(name, JOB["id"]),
        lambda name: hub.get_job("acme", name),
        lambda name: hub.cancel_job("acme", name),
        lambda name: hub.streams.log("acme", name),
        lambda name: hub.streams.use(name, JOB["id"]),
        lambda name: hub.job_token_may_start_jobs(name),
    ]
    for name in NO_NAMES:
        for call in calls:
            with pytest.raises(HubFault):
                call(name)
        assert refused(api, "namespace", namespace=name), name
        assert refused(api, "output_repo", output_repo=f"{name}/model"), name
    assert not there.asked


def test_trap_4_an_answer_smuggles_none(there: Hostile) -> None:
    """The id of a job comes from the other side."""
    there.answer = lambda _asked: Said(body=json.dumps({**JOB, "id": "../../whoami-v2"}).encode())
    with pytest.raises(HubUnclear):
        client(there).create_job("acme", SPEC)


# What a process finds in a hostile environment; it prints what it has to say, and every call goes to argv[1].
HOSTILE_PROCESS = """
import sys
from service.hub.client import HubClient
from service.hub.faults import HubFault
from datetime import datetime, UTC
from service.domain.job import JobSpec
hub = HubClient(sys.argv[1], "hf_control_token", "hf_token_of_jobs", clock=lambda: datetime.now(UTC), timeout_seconds=5)
spec = JobSpec("image", ("true",), "cpu-basic", 60, {}, {"HF_TOKEN": "hf_job", "KEY": "the-secret-value"}, {})
for call in (
    lambda: hub.list_jobs("acme", {}),
    lambda: hub.create_job("acme", spec),
    lambda: hub.repo_state("acme/model"),
    lambda: hub.readme.read("acme/model", "main"),
    lambda: hub.readme.write("acme/model", "# hello", "a" * 40, "title"),
    lambda: hub.buckets.files("acme/bucket"),
    lambda: hub.streams.log("acme", "a" * 24),
    lambda: hub.job_token_may_start_jobs("acme"),
):
    try:
        call()
    except HubFault as error:
        print(type(error).__name__)
"""


def in_a_hostile_environment(
    code: str, there: Hostile, tmp_path: Path, **more: str
) -> subprocess.CompletedProcess[str]:
    home = tmp_path / "home"
    (home / "hf").mkdir(parents=True, exist_ok=True)
    (home / "hf" / "token").write_text("hf_token_of_a_file")
    settings = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "HF_HOME": str(home / "hf"),
        "HF_TOKEN": "hf_token_of_the_environment",
        "HUGGING_FACE_HUB_TOKEN": "hf_token_of_the_environment",
        "HF_DEBUG": "1",
        "HF_HUB_VERBOSITY": "debug",
        "HF_HUB_DISABLE_IMPLICIT_TOKEN": "0",
        "NETRC": str(home / "netrc"),
        **more,
    }
    (home / "netrc").write_text("default login user password hf_token_of_a_file\n")
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), there.url],
        capture_output=True,
        text=True,
        env=settings,
        cwd=SERVICE.parent,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    return ran


def test_trap_5_no_token_is_taken_from_the_surroundings(there: Hostile, tmp_path: Path) -> None:
    """A call without a token takes one from the environment, or a file; an empty one is sent as it is."""
    in_a_hostile_environment(HOSTILE_PROCESS, there, tmp_path)
    assert len(there.asked) >= 8
    sent = {asked.headers.get("authorization") for asked in there.asked}
    assert sent == {f"Bearer {CONTROL}", f"Bearer {OF_JOBS}"}
    assert "hf_token_of" not in there.text.replace(OF_JOBS, "")


def test_trap_5_without_tokens_of_its_own_the_service_does_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty one, or one of blanks, is none."""
    monkeypatch.setenv("HF_TOKEN", "hf_token_of_the_environment")
    monkeypatch.setenv("TUNEGATE_DATABASE_URL", f"sqlite:///{tmp_path / 'x.db'}")
    for control, of_jobs in (("", "hf_x"), ("hf_x", ""), ("  ", "hf_x"), ("hf_x", "\n")):
        monkeypatch.setenv("TUNEGATE_HF_TOKEN", control)
        monkeypatch.setenv("TUNEGATE_JOB_HF_TOKEN", of_jobs)
        with pytest.raises(Misconfigured):
            open_gate(Settings())


def test_trap_6_nothing_is_remembered_of_another_token(there: Hostile) -> None:
    """HfApi keeps what whoami said."""
    there.answer = lambda asked: Said(403 if asked.headers["authorization"] == "Bearer hf_narrow" else 200, b"{}")
    assert not client(there, tokens=(CONTROL, "hf_narrow")).job_token_may_start_jobs("acme")
    assert client(there, tokens=(CONTROL, "hf_broad")).job_token_may_start_jobs("acme")
    assert {one.headers["authorization"] for one in there.asked} == {"Bearer hf_narrow", "Bearer hf_broad"}


def test_trap_7_no_token_goes_to_another_host(there: Hostile) -> None:
    """`Link` is followed anywhere with the token, and a 307 sends a job's secrets again."""
    with hostile() as evil:
        there.answer = lambda _asked: Said(headers=(("Link", f'<{evil.url}/api/jobs/acme>; rel="next"'),))
        with pytest.raises(HubRefused, match="another host"):
            client(there).list_jobs("acme", {})
        with pytest.raises(HubFault):
            client(there).buckets.files("acme/bucket")
        for status in (301, 302, 303, 307, 308):
            there.answer = lambda _asked, status=status: Said(status, b"", (("Location", f"{evil.url}/x"),))  # type: ignore[misc]
            hub = client(there)
            for call in (
                lambda hub=hub: hub.create_job("acme", SPEC),  # type: ignore[misc]
                lambda hub=hub: hub.list_jobs("acme", {}),  # type: ignore[misc]
                lambda hub=hub: hub.get_job("acme", JOB["id"]),  # type: ignore[misc]
                lambda hub=hub: hub.cancel_job("acme", JOB["id"]),  # type: ignore[misc]
                lambda hub=hub: hub.streams.log("acme", JOB["id"]),  # type: ignore[misc]
                lambda hub=hub: hub.buckets.make("acme/bucket"),  # type: ignore[misc]
            ):
                with pytest.raises(HubFault):
                    call()
        assert not evil.asked
        # files do lie elsewhere: that host is asked, and learns nothing
        evil.answer = lambda _asked: Said(body=b"# hello")
        assert client(there).readme.read("acme/model", "main") == "# hello"
        with pytest.raises(HubFault):
            client(there).repo_state("acme/model")
        assert evil.asked
        assert "hf_" not in evil.text.replace("hf_hub/", "")
        assert "authorization" not in evil.text


def test_trap_8_secrets_are_in_no_log_and_no_pickle(there: Hostile, tmp_path: Path) -> None:
    """HF_DEBUG logs the bodies of requests; exceptions carry the request, also when they are pickled."""
    there.answer = lambda _asked: Said(400, b'{"error": "no"}')
    ran = in_a_hostile_environment(HOSTILE_PROCESS, there, tmp_path)
    assert "HubRefused" in ran.stdout
    assert "the-secret-value" in there.text
    for held in ("the-secret-value", CONTROL, OF_JOBS):
        assert held not in ran.stdout + ran.stderr
    with pytest.raises(HubRefused) as caught:
        client(there).create_job("acme", SPEC)
    told = pickle.dumps(caught.value) + "".join(traceback.format_exception(caught.value)).encode()
    for held in (b"the-secret-value", CONTROL.encode()):
        assert held not in told


def test_trap_9_what_everybody_reads_holds_no_secret(api: Api) -> None:
    """A job's environment, command and labels are shown to all who may read the namespace."""
    token = "hf_" + "AbCdEfGhIjKlMnOpQrStUvWxYzAbCdEfGh"
    assert refused(api, "env.NOTE", "secret_in_text", env={"NOTE": token})
    assert refused(api, "labels.note", "secret_in_text", labels={"note": token})
    assert refused(
        api, "recipe.args", "secret_in_text", recipe={"kind": "script", "source": "x = 1", "args": ["--t", token]}
    )
    submit(api, secrets={"WANDB_API_KEY": "the-secret-value"})
    api.world.pass_all()
    body = created(api.world)
    assert body["secrets"]["WANDB_API_KEY"] == "the-secret-value"
    assert body.pop("secrets")["HF_TOKEN"] == "hf_sandbox_job"
    assert "the-secret-value" not in json.dumps(body)
    assert "hf_sandbox" not in json.dumps(body)


def test_trap_10_secrets_come_back_in_any_form(there: Hostile) -> None:
    """They are a list, where huggingface_hub says that they are a dict."""
    for secrets in (["HF_TOKEN"], {"HF_TOKEN": "x"}, None, "odd", 3):
        body = json.dumps({**JOB, "secrets": secrets}).encode()
        there.answer = lambda _asked, body=body: Said(body=body)  # type: ignore[misc]
        assert client(there).create_job("acme", SPEC).id == JOB["id"]


def test_trap_11_what_jobinfo_drops_is_read(there: Hostile) -> None:
    """JobInfo has no cancelReason and no timeout, and its address is made of the endpoint."""
    status = {"stage": "CANCELED", "cancelReason": "spend-limit", "message": "over"}
    there.answer = lambda _asked: Said(body=json.dumps({**JOB, "status": status, "timeout": 120}).encode())
    job = client(there).get_job("acme", JOB["id"])
    assert job is not None
    assert (job.cancel_reason, job.message, job.timeout_seconds) == ("spend-limit", "over", 120)


def test_trap_12_labels_are_checked_and_no_name_is_made_up(api: Api) -> None:
    """A label of another form makes the whole job a 400; a default name holds bits of the script's."""
    for name, value in (("a=b", "c"), ("", "x"), ("a" * 101, "x"), ("a", "b" * 101), ("a", "b c"), ("ä", "x")):
        assert refused(api, "labels", labels={name: value})
    submit(api, labels={"a": ""})
    api.world.pass_all()
    body = created(api.world)
    assert "name" not in body
    assert all(len(name) <= 100 and len(value) <= 100 for name, value in body["labels"].items())


def test_trap_13_a_timeout_is_never_left_to_a_default(api: Api) -> None:
    """0, an empty text and null silently mean 30 minutes."""
    for timeout in (0, "", -60, "-1h", 59, "0m", None, False, 1e9, "30"):
        answer = api("POST", "/runs", json={**BODY, "timeout": timeout})
        assert answer.status_code == 422, timeout
    submit(api, timeout="1.5h")
    api.world.pass_all()
    assert created(api.world)["timeoutSeconds"] == 5400


def test_trap_14_variables_and_arguments_have_the_form_that_is_taken(api: Api) -> None:
    """A number, a name of one letter or with `_` in front, an empty argument: each makes the job a 400."""
    for env in ({"N1": 1}, {"N": "1"}, {"_N": "1"}, {"N-1": "x"}, {"": "x"}, {"N1": None}):
        assert refused(api, "env", env=env)
    assert refused(api, "recipe.args.0", recipe={"kind": "script", "source": "x = 1", "args": [""]})
    submit(api, env={"N1": "1"})
    api.world.pass_all()
    assert all(isinstance(value, str) for value in created(api.world)["environment"].values())


def test_trap_15_images_are_those_that_are_allowed(api: Api) -> None:
    """`hf.co/spaces/…` runs a Space's image, and any registry's is taken."""
    for image in ("hf.co/spaces/evil/space", "evil.example/image", "python:3.12"):
        assert refused(api, "image", "image_not_allowed", image=image)


def test_trap_16_a_scripts_table_takes_nothing_from_this_machine(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """`hf jobs uv run` obeys [tool.hf-jobs]: secrets out of the caller's environment, local volumes, who pays."""
    monkeypatch.setenv("SECRET_OF_THE_SERVICE", "value-of-the-environment")
    lines = (
        "[tool.hf-jobs]",
        "secrets = ['SECRET_OF_THE_SERVICE']",
        "env = ['SECRET_OF_THE_SERVICE']",
        "volumes = ['/etc:/data']",
        "namespace = 'evil'",
        "flavor = 'h200'",
        "timeout = '100h'",
    )
    source = "# /// script\n" + "".join(f"# {line}\n" for line in lines) + "# ///\nprint(1)\n"
    run = submit(api, recipe={"kind": "script", "source": source})
    api.world.pass_all()
    body = created(api.world)
    assert "value-of-the-environment" not in json.dumps(body)
    assert "SECRET_OF_THE_SERVICE" not in body["secrets"]
    assert (body["flavor"], body["timeoutSeconds"], body.get("volumes")) == ("cpu-basic", 600, None)
    assert run["namespace"] == "acme"
    assert not {"subprocess", "popen", "Popen"} & names_in(*PARTS)


def dripping(part: bytes, over: threading.Event) -> Callable[[BinaryIO], None]:
    def write(file: BinaryIO) -> None:
        while not over.wait(0.02):
            file.write(part)
            file.flush()

    return write


@pytest.mark.parametrize("part", [b": keep-alive\n\n", b"data: {", b'data: {"data": "x"}\n\n', b"\r"])
def test_trap_17_a_stream_is_read_for_so_long(there: Hostile, part: bytes) -> None:
    """`follow=True` holds a thread for a job's whole life."""
    there.answer = lambda _asked: Said(write=dripping(part, there.is_over))
    began = time.monotonic()
    _, until = client(there).streams.log("acme", JOB["id"], silence_seconds=0.3, max_seconds=0.3)
    assert until is Until.LIMIT
    assert client(there).streams.use("acme", JOB["id"], silence_seconds=0.1) is None
    assert time.monotonic() - began < 3


def test_trap_17_a_silent_stream_and_a_silent_answer_are_left(there: Hostile) -> None:
    """And every other call has a timeout, for the whole of its answer."""
    there.answer = lambda _asked: Said(write=lambda _file: there.is_over.wait(10) and None)
    assert client(there).streams.log("acme", JOB["id"], silence_seconds=0.1)[1] is Until.SILENCE
    began = time.monotonic()
    for write in (lambda _file: there.is_over.wait(10) and None, dripping(b" ", there.is_over)):
        there.answer = lambda _asked, write=write: Said(write=write)  # type: ignore[misc]
        hub = client(there, seconds=0.2)
        with pytest.raises(HubUnclear):
            hub.create_job("acme", SPEC)
        with pytest.raises(HubUnavailable):
            hub.list_jobs("acme", {})
        with pytest.raises(HubUnavailable):
            hub.repo_state("acme/model")
    assert time.monotonic() - began < 8


def test_trap_17_no_answer_and_no_line_fills_the_memory(there: Hostile, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a line without an end, nor an answer without one."""
    monkeypatch.setattr(bounds, "MOST_CHARACTERS", 1000)
    monkeypatch.setattr(bounds, "MOST_BYTES", 100_000)
    good = b'data: {"timestamp": "t", "data": "kept"}\n\n'
    long = b'data: {"data": "' + b"x" * 5000 + b'"}\n\n'
    there.answer = lambda _asked: Said(body=long + good + long)
    lines, until = client(there).streams.log("acme", JOB["id"])
    assert ([line.text for line in lines], until) == (["kept"], Until.END)
    there.answer = lambda _asked: Said(body=b"[" + b" " * 200_000 + b"]")
    with pytest.raises(HubUnavailable, match="larger"):
        client(there).list_jobs("acme", {})
    assert follower.MOST_HELD_CHARACTERS < 2**25


def test_trap_18_nothing_that_is_set_for_the_library_counts(there: Hostile, tmp_path: Path) -> None:
    """HF_ENDPOINT and HF_HUB_… are read when it is imported; a proxy would see the token of plain http."""
    with hostile() as evil:
        proxies = dict.fromkeys(("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"), evil.url)
        more = {"HF_ENDPOINT": evil.url, "HF_HUB_OFFLINE": "0", "HF_HUB_USER_AGENT_ORIGIN": "x", **proxies}
        in_a_hostile_environment(HOSTILE_PROCESS, there, tmp_path, **more)
        assert not evil.asked
        assert len(there.asked) >= 8
    code = """
    import service.assembly
    from huggingface_hub import constants
    assert constants.HF_HUB_DISABLE_IMPLICIT_TOKEN and constants.HF_HUB_DISABLE_TELEMETRY and not constants.HF_DEBUG
    """
    in_a_hostile_environment(code, there, tmp_path)


def test_trap_19_nothing_is_printed(api: Api, capfd: pytest.CaptureFixture[str]) -> None:
    """Uploads print, and draw bars."""
    run_id = submit(api, output_repo="acme/model", lineage_card=True)["id"]
    api.world.pass_all()
    api.world.publish("acme/model", model__safetensors=b"x")
    api.world.until_end(run_id)
    assert capfd.readouterr() == ("", "")
    assert not {"print", "tqdm"} & names_in(*PARTS)


def test_trap_20_a_warning_of_the_other_side_is_one_line_of_ours(there: Hostile, tmp_path: Path) -> None:
    """X-HF-Warning is logged as it comes; tests/test_log.py looks at control characters."""
    code = """
    import sys
    from service import log
    from service.settings import Settings
    log.configure("INFO", secrets=["hf_control_token"])
    """ + textwrap.indent(HOSTILE_PROCESS, "    ")
    there.answer = lambda _asked: Said(headers=(("X-HF-Warning", "topic; \x1b[31mforged hf_control_token"),))
    ran = in_a_hostile_environment(code, there, tmp_path)
    entries = [json.loads(line) for line in ran.stderr.splitlines()]
    assert [one["event"] for one in entries] == ["\x1b[31mforged [secret]"]
    assert "\x1b" not in ran.stderr


def test_trap_21_volumes_have_places_of_their_own(api: Api) -> None:
    """Two at one path are taken by the client, and so is one over what the service mounts itself."""
    one = {"type": "bucket", "source": "acme/one", "mount_path": "/data"}
    for second in ("/data", "/data/within"):
        assert refused(api, "volumes", volumes=[one, {**one, "source": "acme/two", "mount_path": second}])
    for place in ("/proc/self", "/etc", "/usr/lib", "data", "/data/../etc", "/"):
        assert refused(api, "volumes", volumes=[{**one, "mount_path": place}])
    kept = {"checkpoints": "on", "timeout": "2h"}
    assert refused(api, "", volumes=[{**one, "mount_path": "/tunegate-checkpoints"}], **kept)


def test_trap_22_no_bucket_that_others_read_is_written_to(there: Hostile) -> None:
    """An existing public bucket is taken without a word."""
    for private, is_taken in ((True, True), (False, False), (None, False), ("yes", False)):
        there.asked.clear()
        body = json.dumps({"private": private}).encode()
        there.answer = lambda asked, body=body: Said(409 if asked.method == "POST" else 200, body)  # type: ignore[misc]
        if is_taken:
            client(there).buckets.make("acme/tunegate-run")
        else:
            with pytest.raises(HubRefused, match="not private"):
                client(there).buckets.make("acme/tunegate-run")
        assert json.loads(there.asked[0].body) == {"visibility": "private"}


def test_each_trap_has_its_test() -> None:
    found = {int(number) for number in re.findall(r"def test_trap_(\d+)_", Path(__file__).read_text())}
    assert found == set(range(1, 23))
