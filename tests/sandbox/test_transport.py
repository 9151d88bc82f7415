"""The core in-process behind the real client library, under a clock that stands still unless moved."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import httpx2
import huggingface_hub
import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import BadRequestError, HfHubHTTPError, JobNotFoundError
from huggingface_hub.utils._http import default_client_factory

from service.sandbox.core import Sandbox
from service.sandbox.faults import Faults
from service.sandbox.transport import SandboxTransport
from service.sandbox.wire import Response
from tests.sandbox.job_clients import SPEC, START, log_texts


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class Cut(SandboxTransport):
    """Breaks the line before or after the core has acted."""

    where = ""

    def before(self, request: httpx2.Request) -> None:
        if self.where == "before":
            raise httpx2.ConnectError("cut before", request=request)

    def after(self, request: httpx2.Request, _response: Response) -> None:
        if self.where == "after":
            raise httpx2.ReadError("cut after", request=request)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def core() -> Sandbox:
    return Sandbox(execute=False, page_size=2)


@pytest.fixture
def api(core: Sandbox, clock: Clock) -> Iterator[HfApi]:
    huggingface_hub.set_client_factory(lambda: httpx2.Client(transport=SandboxTransport(core, clock)))
    yield HfApi(endpoint="http://sandbox", token="hf_sandbox")
    huggingface_hub.set_client_factory(default_client_factory)


def test_the_client_library_runs_a_job_without_a_socket(api: HfApi, clock: Clock) -> None:
    job = api.run_job(
        image="python:3.12",
        command=["python", "-V"],
        env={"SANDBOX_LOG": "loss 1\nloss 0.5", "SANDBOX_RUN_SECONDS": "3600"},
        timeout="2h",
        labels={"run": "r1"},
        namespace="sandbox",
    )
    assert job.created_at == START.replace(microsecond=482_000)
    clock.wait(2000)
    assert list(api.fetch_job_logs(job_id=job.id, namespace="sandbox")) == ["loss 1"]
    clock.wait(2000)
    done = api.inspect_job(job_id=job.id, namespace="sandbox")
    assert done.status.stage == "COMPLETED"
    assert done.durations
    assert done.durations.running_secs == 3600


def test_the_client_library_walks_the_pages_of_a_list(api: HfApi) -> None:
    for n in range(5):
        api.run_job(image="x", command=["true"], labels={"app": "x", "n": str(n)}, namespace="sandbox")
    api.run_job(image="x", command=["true"], labels={"app": "y"}, namespace="sandbox")
    jobs = api.list_jobs(namespace="sandbox", labels={"app": "x"}, status=["SCHEDULING", "RUNNING"])
    assert [(job.labels or {})["n"] for job in jobs] == ["4", "3", "2", "1", "0"]


def test_refusals_are_the_client_librarys_own_errors(api: HfApi) -> None:
    with pytest.raises(JobNotFoundError, match="Job Not Found"):
        api.inspect_job(job_id="0" * 24, namespace="sandbox")
    with pytest.raises(BadRequestError, match=r"at command\[0\]"):
        api.run_job(image="x", command=[""], namespace="sandbox")
    with pytest.raises(HfHubHTTPError, match="credit balance is insufficient") as error:
        api.run_job(image="x", command=["true"], namespace="broke", token="hf_sandbox_broke")
    assert error.value.response.status_code == 402
    assert error.value.request_id


def test_a_line_cut_before_has_done_nothing_and_after_everything(core: Sandbox, clock: Clock) -> None:
    transport = Cut(core, clock)
    headers = {"authorization": "Bearer hf_sandbox"}
    with httpx2.Client(transport=transport, base_url="http://sandbox", headers=headers) as client:
        for where, error, jobs in (("before", httpx2.ConnectError, 0), ("after", httpx2.ReadError, 1)):
            transport.where = where
            with pytest.raises(error):
                client.post("/api/jobs/sandbox", json=SPEC)
            transport.where = ""
            assert client.get("/api/jobs/sandbox/count").json() == {"count": jobs}


def test_faults_of_the_line_are_the_clients_errors(core: Sandbox, clock: Clock) -> None:
    headers = {"authorization": "Bearer hf_sandbox"}
    with httpx2.Client(transport=SandboxTransport(core, clock), base_url="http://sandbox", headers=headers) as client:
        core.faults.set(Faults(create_lost_reply=1))
        with pytest.raises(httpx2.RemoteProtocolError):
            client.post("/api/jobs/sandbox", json=SPEC)
        core.faults.set(Faults(reply_delay_seconds=30))
        with pytest.raises(httpx2.ReadTimeout):
            client.post("/api/jobs/sandbox", json=SPEC, timeout=10)
        assert client.post("/api/jobs/sandbox", json=SPEC, timeout=60).status_code == 200
        assert client.get("/api/jobs/sandbox/count").json() == {"count": 3}


def test_a_cut_log_breaks_off_in_process_too(core: Sandbox, clock: Clock) -> None:
    headers = {"authorization": "Bearer hf_sandbox"}
    core.faults.set(Faults(log_cut_after_lines=1))
    with httpx2.Client(transport=SandboxTransport(core, clock), base_url="http://sandbox", headers=headers) as client:
        job_id = client.post("/api/jobs/sandbox", json=SPEC | {"environment": {"SANDBOX_LOG": "a"}}).json()["id"]
        clock.wait(60)
        with pytest.raises(httpx2.ReadError):
            client.get(f"/api/jobs/sandbox/{job_id}/logs")
        whole = client.get(f"/api/jobs/sandbox/{job_id}/logs").content
        assert log_texts(whole.split(b"\n\n")[:-1])[1:] == ["a"]
        assert "GMT" in client.get("/api/jobs/hardware").headers["date"]
