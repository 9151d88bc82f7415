"""The client's promises where Hugging Face, or something in its place, misbehaves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from service.domain.job import JobSpec
from service.hub.client import HubClient
from service.hub.faults import HubFault, HubRefused, HubUnavailable, HubUnclear
from service.hub.streams import Until
from tests.conftest import Clock

SPEC = JobSpec("image", ("true",), "cpu-basic", 60, {}, {"HF_TOKEN": "hf_job"}, {})
JOB = {"id": "6a56d1f2f5b1c0a1b2c3d4e5", "status": {"stage": "SCHEDULING"}}


def client(answer: Callable[[httpx2.Request], httpx2.Response]) -> HubClient:
    return HubClient("http://hub.test", "hf_control", "hf_job", clock=Clock(), transport=httpx2.MockTransport(answer))


def answering(status: int, **kwargs: Any) -> Callable[[httpx2.Request], httpx2.Response]:
    return lambda _request: httpx2.Response(status, **kwargs)


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 422, 429])
def test_these_answers_prove_that_no_job_was_made(status: int) -> None:
    with pytest.raises(HubRefused, match="because") as caught:
        client(answering(status, json={"error": "because"})).create_job("acme", SPEC)
    assert caught.value.status == status


@pytest.mark.parametrize(
    "answer",
    [
        answering(500, json={"error": "x"}),
        answering(502, text="<html>bad gateway</html>"),
        answering(408, json={"error": "x"}),
        answering(409, json={"error": "x"}),
        answering(200, text="not json"),
        answering(200, json=[]),
        answering(200, json={"status": {}}),
        answering(200, json={**JOB, "id": "../../whoami"}),
        answering(307, headers={"location": "http://evil.test/"}),
        answering(503, json=["a", "list"]),
    ],
)
def test_every_other_answer_leaves_it_open(answer: Callable[[httpx2.Request], httpx2.Response]) -> None:
    with pytest.raises(HubUnclear):
        client(answer).create_job("acme", SPEC)


def test_a_fault_holds_no_token_and_no_secret() -> None:
    with pytest.raises(HubRefused) as caught:
        client(answering(400, json={"error": "bad"})).create_job("acme", SPEC)
    error: BaseException | None = caught.value
    while error is not None:
        assert "hf_control" not in repr(vars(error))
        error = error.__cause__
    assert caught.value.__suppress_context__


def test_a_job_is_read_from_as_little_as_its_id() -> None:
    job = client(answering(200, json={"id": JOB["id"], "unknown": {"field": 1}})).create_job("acme", SPEC)
    assert job.id == JOB["id"]
    assert not job.phase.is_final


def test_a_next_page_on_another_host_is_not_followed() -> None:
    asked: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.url.host)
        return httpx2.Response(200, json=[JOB], headers={"link": '<http://evil.test/api/jobs/acme>; rel="next"'})

    with pytest.raises(HubRefused, match="another host"):
        client(answer).list_jobs("acme", {})
    assert asked == ["hub.test"]


def test_a_list_is_whole_or_an_error() -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        if "cursor" in str(request.url):
            return httpx2.Response(500, json={"error": "x"})
        link = {"link": f'<{request.url}&cursor=2>; rel="next"'}
        return httpx2.Response(200, json=[JOB], headers=link)

    with pytest.raises(HubUnavailable):
        client(answer).list_jobs("acme", {"a": "b"})


@pytest.mark.parametrize("namespace", ["../models", "a/b", "..", "", "a?b", "a b"])
def test_no_path_is_smuggled_into_a_namespace_or_an_id(namespace: str) -> None:
    hub = client(answering(200, json=[]))
    for call in (
        lambda: hub.create_job(namespace, SPEC),
        lambda: hub.list_jobs(namespace, {}),
        lambda: hub.get_job(namespace, "a" * 24),
        lambda: hub.get_job("acme", namespace),
        lambda: hub.cancel_job("acme", namespace + "/cancel"),
        lambda: hub.streams.log("acme", namespace),
    ):
        with pytest.raises(HubFault):
            call()


def whoami(role: str, *permissions: str, entity: str = "acme") -> dict[str, Any]:
    scoped = [{"entity": {"type": "org", "name": entity}, "permissions": list(permissions)}]
    token = {"role": role, **({"fineGrained": {"scoped": scoped}} if role == "fineGrained" else {})}
    return {"name": "x", "auth": {"accessToken": token}}


@pytest.mark.parametrize(
    ("auth_check", "who", "is_broad"),
    [
        (403, whoami("write"), False),
        (200, whoami("write"), True),
        (200, whoami("fineGrained", "job.write", "repo.write"), True),
        (200, whoami("fineGrained", "repo.write"), False),
        (200, whoami("read"), False),
        (404, whoami("fineGrained", "job.write"), True),
        (404, whoami("fineGrained", "job.write", entity="other"), False),
        (404, whoami("write"), False),
        (404, {}, False),
    ],
)
def test_what_makes_a_job_token_too_broad(auth_check: int, who: dict[str, Any], is_broad: bool) -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        assert request.headers["authorization"] == "Bearer hf_job"
        if request.url.path.endswith("/auth-check/write"):
            return httpx2.Response(auth_check, json={})
        return httpx2.Response(200, json=who)

    assert client(answer).job_token_may_start_jobs("acme") is is_broad


def test_a_log_that_never_ends_is_read_for_a_while_only() -> None:
    lines = b"".join(
        b'data: {"timestamp":"2026-11-24T00:00:00.000Z","data":"line %d"}\n\n' % number for number in range(5)
    )
    noise = b"event: log\n: keep-alive\n\ndata: not json\n\ndata: {broken\n\n"
    started = b'data: {"timestamp":"t","data":"===== Job started at x ====="}\n\n'
    hub = client(answering(200, content=started + noise + lines))
    read, until = hub.streams.log("acme", "a" * 24)
    assert [line.text for line in read] == [f"line {number}" for number in range(5)]
    whole = read
    assert until is Until.END
    read, until = hub.streams.log("acme", "a" * 24, max_seconds=-1)
    assert (len(read), until) == (0, Until.LIMIT)
    assert hub.streams.log("acme", "a" * 24, most_lines=3)[0] == whole[:3]
