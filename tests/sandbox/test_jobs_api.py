"""The Jobs API of the pure core, at moments that the test chooses."""

from __future__ import annotations

import json
import re

import pytest
from huggingface_hub import JobInfo
from huggingface_hub.utils import parse_ratelimit_headers

from service.sandbox.core import Sandbox
from service.sandbox.wire import LogStream, Request
from tests.sandbox.job_clients import SPEC, Desk

NO_CREDIT = "Pre-paid credit balance is insufficient - add more credits to your account to use Jobs."


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_job_shows_what_it_was_given_and_no_secret(desk: Desk) -> None:
    created = desk.create(
        environment={"STEPS": "3"},
        secrets={"HF_TOKEN": "hf_sandbox_job", "OTHER": "s3cr3t-value"},
        labels={"run": "r1"},
        timeoutSeconds=60,
        attempts=3,
    )
    assert re.fullmatch("[0-9a-f]{24}", created["id"])
    assert int(created["id"][:8], 16) == int(desk.now.timestamp())
    assert created["createdAt"] == "2026-11-24T12:00:00.482Z"
    assert created["secrets"] == ["HF_TOKEN", "OTHER"]
    assert created["environment"] == {"STEPS": "3"}
    assert (created["timeout"], created["retry"], created["type"]) == (60, 2, "job")
    assert created["status"] == {"stage": "SCHEDULING", "message": None}
    assert created["owner"] == {"id": "5f0000000000000000000001", "name": "sandbox", "type": "user", "avatarUrl": ""}
    assert created["hfToken"] == {"ownerName": "sandbox", "tokenRole": "fineGrained"}
    assert created["initiator"]["type"] == "user"
    assert "startedAt" not in created
    for body in (
        desk.send("GET", f"/api/jobs/sandbox/{created['id']}").body,
        desk.send("GET", "/api/jobs/sandbox").body,
    ):
        assert b"s3cr3t-value" not in body
        assert b"hf_sandbox_job" not in body


def test_the_client_library_reads_every_stage_of_a_job(desk: Desk) -> None:
    job_id = desk.create(expose={"ports": [8000], "portsPublic": []})["id"]
    desk.wait(1)
    running = JobInfo(**desk.job(job_id))
    assert (running.status.stage, running.durations and running.durations.running_secs) == ("RUNNING", 1)
    assert running.status.expose_urls == [f"https://{job_id}--8000.hf.jobs"]
    desk.wait(60)
    done = JobInfo(**desk.job(job_id))
    assert done.status.stage == "COMPLETED"
    assert done.started_at
    assert done.finished_at
    assert (done.finished_at - done.started_at).total_seconds() == 10


def test_a_job_by_the_clock_ends_as_its_environment_says(desk: Desk) -> None:
    environment = {"SANDBOX_RUN_SECONDS": "78.2", "SANDBOX_EXIT_CODE": "3", "SANDBOX_LOG": "one\ntwo"}
    job_id = desk.create(environment=environment)["id"]
    desk.wait(30)
    assert desk.job(job_id)["status"]["stage"] == "RUNNING"
    assert desk.log(job_id)[1:] == ["one"]
    desk.wait(1000)
    job = desk.job(job_id)
    assert job["status"] == {
        "stage": "ERROR",
        "message": "Job failed with exit code: 3. Reason: Error.",
        "failureCount": 1,
    }
    assert job["finishedAt"] == "2026-11-24T12:01:18.682Z"
    assert job["durations"] == {"totalSecs": 78, "schedulingSecs": 0, "runningSecs": 78}
    assert desk.log(job_id)[1:] == ["one", "two"]


def test_a_job_that_outlives_its_timeout_is_an_error(desk: Desk) -> None:
    job_id = desk.create(environment={"SANDBOX_RUN_SECONDS": "5000"})["id"]
    desk.wait(1799)
    assert desk.job(job_id)["status"]["stage"] == "RUNNING"
    desk.wait(2)
    job = desk.job(job_id)
    assert (job["status"]["stage"], job["status"]["message"]) == ("ERROR", "Job timeout")
    assert job["durations"]["runningSecs"] == 1800


def test_a_failing_job_is_tried_as_often_as_asked(desk: Desk) -> None:
    environment = {"SANDBOX_RUN_SECONDS": "10", "SANDBOX_EXIT_CODE": "137"}
    job_id = desk.create(environment=environment, attempts=3)["id"]
    desk.wait(25)
    assert desk.job(job_id)["status"] == {"stage": "RUNNING", "message": None, "failureCount": 2}
    desk.wait(6)
    job = desk.job(job_id)
    assert job["status"]["message"] == "Job failed with exit code: 137. Reason: OOMKilled"
    assert job["status"]["failureCount"] == 3
    assert job["durations"]["runningSecs"] == 30
    assert sum("Job started" in line for line in desk.log(job_id)) == 3


def test_a_list_is_newest_first_in_linked_pages() -> None:
    desk = Desk(Sandbox(execute=False, page_size=3))
    ids = [desk.create(labels={"app": "x", "n": str(n)})["id"] for n in range(7)]
    desk.create(labels={"app": "y"})
    path, pages = "/api/jobs/sandbox?stage=SCHEDULING&stage=RUNNING&label=app%3Dx", []
    while path:
        response = desk.send("GET", path)
        pages.append([job["id"] for job in json.loads(response.body)])
        link = re.fullmatch(r'<http://sandbox(.*)>; rel="next"', response.headers.get("link", ""))
        path = link[1] if link else ""
    assert [len(page) for page in pages] == [3, 3, 1]
    assert [job_id for page in pages for job_id in page] == ids[::-1]


def test_a_full_last_page_has_no_next() -> None:
    desk = Desk(Sandbox(execute=False, page_size=2))
    desk.create()
    desk.create()
    assert "link" not in desk.send("GET", "/api/jobs/sandbox").headers


def test_filters_stages_by_or_and_labels_by_and(desk: Desk) -> None:
    short = desk.create(labels={"a": "1", "b": "2"}, environment={"SANDBOX_RUN_SECONDS": "1"})["id"]
    long = desk.create(labels={"a": "1", "b": "3"}, environment={"SANDBOX_RUN_SECONDS": "100"})["id"]
    desk.wait(5)

    def listed(query: str) -> list[str]:
        return [job["id"] for job in desk.ask("GET", f"/api/jobs/sandbox?{query}")]

    assert listed("stage=RUNNING") == [long]
    assert listed("stage=RUNNING&stage=COMPLETED") == [long, short]
    assert listed("label=a%3D1&label=b%3D2") == [short]
    assert listed("label=a%3D1&label=b%3D4") == []
    assert desk.ask("GET", "/api/jobs/sandbox/count?stage=RUNNING") == {"count": 1}
    for wrong in ("stage=running", "label=a", "cursor=x"):
        assert desk.refused("GET", f"/api/jobs/sandbox?{wrong}")[0] == 400


def test_labels_and_ports_are_replaced_whole(desk: Desk) -> None:
    job_id = desk.create(labels={"a": "1", "b": "2"})["id"]
    job = desk.ask("PUT", f"/api/jobs/sandbox/{job_id}/labels", {"labels": {"c": "3"}})
    assert job["labels"] == {"c": "3"}
    assert desk.refused("PUT", f"/api/jobs/sandbox/{job_id}/labels", {"labels": {"c/": "3"}})[0] == 400
    job = desk.ask("PUT", f"/api/jobs/sandbox/{job_id}/expose", {"ports": [8000, 9000], "portsPublic": [9000]})
    assert job["expose"] == {"ports": [8000, 9000], "portsPublic": [9000]}


def test_cancel_ends_a_job_once(desk: Desk) -> None:
    job_id = desk.create()["id"]
    desk.wait(3)
    assert desk.ask("POST", f"/api/jobs/sandbox/{job_id}/cancel")["status"]["stage"] == "CANCELED"
    desk.wait(60)
    job = desk.ask("POST", f"/api/jobs/sandbox/{job_id}/cancel")
    assert (job["status"]["stage"], job["durations"]["runningSecs"]) == ("CANCELED", 3)
    assert "cancelReason" not in job["status"]


def test_a_finished_job_stays_finished_when_cancelled(desk: Desk) -> None:
    job_id = desk.create()["id"]
    desk.wait(30)
    assert desk.ask("POST", f"/api/jobs/sandbox/{job_id}/cancel")["status"]["stage"] == "COMPLETED"


def test_a_duplicate_has_the_spec_and_names_its_origin(desk: Desk) -> None:
    first = desk.create(labels={"a": "1"}, timeoutSeconds=77, secrets={"KEY": "v"})
    second = desk.ask("POST", f"/api/jobs/sandbox/{first['id']}/duplicate")
    assert second["id"] != first["id"]
    assert second["initiator"] == {"type": "duplicated-job", "id": first["id"]}
    for field in ("command", "labels", "timeout", "secrets", "flavor"):
        assert second[field] == first[field]


def test_rights(desk: Desk) -> None:
    job_id = desk.create()["id"]
    create = ("POST", "/api/jobs/sandbox", SPEC)
    assert desk.refused(*create, token=None)[0] == 401
    assert desk.refused(*create, token="hf_wrong")[0] == 401
    assert desk.refused(*create, token="hf_sandbox_job")[0] == 403
    assert desk.refused(*create, token="hf_sandbox_read")[0] == 403
    assert desk.refused(*create, token="hf_sandbox_broke")[0] == 403
    assert desk.refused("POST", "/api/jobs/broke", SPEC, token="hf_sandbox_broke") == (402, NO_CREDIT)
    assert desk.refused("POST", "/api/jobs/nobody", SPEC)[0] == 403
    assert desk.refused("GET", "/api/jobs/sandbox", token="hf_sandbox_job")[0] == 403
    assert desk.refused("GET", f"/api/jobs/sandbox/{job_id}", token="hf_sandbox_broke")[0] == 403
    assert len(desk.ask("GET", "/api/jobs/sandbox", token="hf_sandbox_read")) == 1
    assert desk.refused("POST", f"/api/jobs/sandbox/{job_id}/cancel", token="hf_sandbox_read")[0] == 403
    assert desk.ask("GET", "/api/jobs/broke", token="hf_sandbox_broke") == []


def test_auth_check_tells_whether_a_token_may(desk: Desk) -> None:
    answer = desk.ask("POST", "/api/jobs/acme/auth-check/write")
    assert (answer["namespace"]["name"], answer["user"]["name"]) == ("acme", "sandbox")
    assert desk.ask("POST", "/api/jobs/sandbox/auth-check/read", token="hf_sandbox_read")
    assert desk.refused("POST", "/api/jobs/sandbox/auth-check/write", token="hf_sandbox_read")[0] == 403
    job_id = desk.create()["id"]
    assert desk.ask("POST", f"/api/jobs/sandbox/{job_id}/auth-check/write")
    assert desk.refused("POST", f"/api/jobs/sandbox/{'0' * 24}/auth-check/write")[0] == 404


def test_an_organisation_owns_its_jobs(desk: Desk) -> None:
    job = desk.create(namespace="acme")
    assert (job["owner"]["type"], job["createdBy"]["name"]) == ("org", "sandbox")
    assert desk.ask("GET", "/api/jobs/sandbox") == []
    assert desk.refused("GET", f"/api/jobs/sandbox/{job['id']}") == (404, "Job not found")


def test_hardware_is_public_and_priced(desk: Desk) -> None:
    flavors = {flavor["name"]: flavor for flavor in desk.ask("GET", "/api/jobs/hardware", token=None)}
    assert flavors["a10g-large"]["unitCostMicroUSD"] == 25000
    assert flavors["cpu-basic"]["accelerator"] is None


def test_whoami_needs_a_token_and_tells_its_rights(desk: Desk) -> None:
    assert desk.refused("GET", "/api/whoami-v2", token=None)[0] == 401
    scoped = desk.ask("GET", "/api/whoami-v2")["auth"]["accessToken"]["fineGrained"]["scoped"]
    assert all("job.write" in scope["permissions"] for scope in scoped)


def test_the_bill_counts_started_minutes_of_jobs_that_ran(desk: Desk) -> None:
    desk.create(flavor="a10g-large", environment={"SANDBOX_RUN_SECONDS": "78"})
    desk.create(flavor="cpu-basic", environment={"SANDBOX_RUN_SECONDS": "120"})
    desk.create(namespace="acme")
    cancelled = desk.create()["id"]
    desk.ask("POST", f"/api/jobs/sandbox/{cancelled}/cancel")
    desk.wait(300)
    usage = desk.ask("GET", "/api/settings/billing/usage/jobs")["usage"]
    # the cancelled one had started in the moment it was made: one minute
    assert sorted(detail["totalMinutes"] for detail in usage["jobDetails"]) == [1, 2, 2]
    assert usage["usedMicroUsd"] == 2 * 25000 + 2 * 167 + 167
    assert desk.refused("GET", "/api/settings/billing/usage/jobs", token="hf_sandbox_job")[0] == 403


def test_a_log_replays_the_same_frames_and_honours_tail(desk: Desk) -> None:
    job_id = desk.create(environment={"SANDBOX_LOG": "a\nb\nc\u2028d", "SANDBOX_RUN_SECONDS": "8"})["id"]
    desk.wait(60)
    stream = desk.send("GET", f"/api/jobs/sandbox/{job_id}/logs").stream
    assert stream
    first, position, ended = desk.read(stream)
    assert (position, ended) == (len(first), True)
    assert desk.read(stream)[0] == first
    assert len(first) == 4
    assert all(frame.startswith(b'data: {"timestamp":"2026-') and frame.isascii() for frame in first)
    tail = desk.send("GET", f"/api/jobs/sandbox/{job_id}/logs?tail=2").stream
    assert tail
    assert desk.read(tail)[0] == first[-2:]
    assert desk.refused("GET", f"/api/jobs/sandbox/{job_id}/logs?tail=x")[0] == 400


def test_metrics_stop_with_the_job_and_events_tell_its_stages(desk: Desk) -> None:
    job_id = desk.create()["id"]
    desk.wait(1)
    metrics = desk.send("GET", f"/api/jobs/sandbox/{job_id}/metrics").stream
    assert metrics
    assert b'"memory_total_bytes":17179869184' in desk.read(metrics)[0][0]
    desk.wait(60)
    assert desk.refused("GET", f"/api/jobs/sandbox/{job_id}/metrics")[0] == 406
    events, _, ended = desk.read(LogStream(job_id, "events"))
    assert [json.loads(event.split(b"data: ")[1])["status"]["stage"] for event in events] == [
        "SCHEDULING",
        "RUNNING",
        "COMPLETED",
    ]
    assert ended


def test_unknown_things_are_404(desk: Desk) -> None:
    missing = "0" * 24
    for method, path in [
        ("GET", f"/api/jobs/sandbox/{missing}"),
        ("GET", f"/api/jobs/sandbox/{missing}/logs"),
        ("POST", f"/api/jobs/sandbox/{missing}/cancel"),
        ("PUT", f"/api/jobs/sandbox/{missing}/labels"),
        ("DELETE", "/api/jobs/sandbox"),
        ("GET", "/api/scheduled-jobs/sandbox"),
        ("GET", "/api/agent-harnesses"),
        ("GET", "/no/such/page/anywhere"),
    ]:
        assert desk.refused(method, path)[0] == 404, path
    assert desk.send("HEAD", "/api/telemetry/hf").status == 200


def test_every_answer_carries_the_rate_limit_and_an_id(desk: Desk) -> None:
    seen = [desk.send("GET", "/api/jobs/hardware"), desk.send("GET", "/api/jobs/nobody")]
    assert seen[0].headers["x-request-id"] != seen[1].headers["x-request-id"]
    limits = [parse_ratelimit_headers(response.headers) for response in seen]
    assert limits[0]
    assert limits[1]
    assert limits[0].remaining - limits[1].remaining == 1
    assert limits[0].reset_in_seconds == 300
    assert limits[0].window_seconds == 300


def test_two_equal_runs_give_equal_answers() -> None:
    def answers() -> list[bytes]:
        desk = Desk()
        job_id = desk.create(environment={"SANDBOX_LOG": "x"})["id"]
        desk.wait(60)
        return [desk.send("GET", "/api/jobs/sandbox").body, "".join(desk.log(job_id)).encode()]

    assert answers() == answers()


def test_thousands_of_jobs_by_the_clock() -> None:
    desk = Desk()
    for n in range(3000):
        desk.create(environment={"SANDBOX_RUN_SECONDS": str(n % 100)})
    desk.wait(50.5)
    assert desk.ask("GET", "/api/jobs/sandbox/count?stage=RUNNING") == {"count": 49 * 30}
    desk.wait(100)
    assert desk.ask("GET", "/api/jobs/sandbox/count?stage=COMPLETED") == {"count": 3000}


def test_a_request_before_anything_else_is_answered() -> None:
    core = Sandbox(execute=False)
    assert core.handle(Request("GET", "/"), Desk().now).status == 404
