"""Clients of one endpoint for several owners: they share connections, and nothing that tells who is asking."""

from __future__ import annotations

import httpx2

from service.hub.client import HubClient
from tests.conftest import Clock

LIMITS = {"ratelimit": '"api";r=0;t=100', "ratelimit-policy": '"fixed window";"api";q=1000;w=300'}


def test_no_cookie_no_rate_limit_and_no_check_of_one_owner_is_anothers() -> None:
    seen: list[tuple[str, str | None]] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append((request.headers["authorization"], request.headers.get("cookie")))
        return httpx2.Response(200, json=[], headers={"set-cookie": "session=of-the-first; Path=/", **LIMITS})

    clock = Clock()
    first = HubClient("http://hub.test", "c1", "j1", clock=clock, transport=httpx2.MockTransport(answer))
    second = first.with_tokens("c2", "j2")
    first.list_jobs("acme", {})
    first.list_jobs("acme", {})
    assert (first.governor.may_poll(clock()), second.governor.may_poll(clock())) == (False, True)
    first.job_token_checks["acme"] = (clock(), True)
    assert second.job_token_checks == {}
    second.list_jobs("acme", {})
    second.lookup.job_account()
    list(second.buckets._entries("acme/b"))
    second.streams.log("acme", "a" * 24)
    assert [token for token, _ in seen] == ["Bearer c1"] * 2 + ["Bearer c2", "Bearer j2", "Bearer j2", "Bearer c2"]
    assert {cookie for _, cookie in seen} == {None}
    assert second.job_token == "j2"
    second.tokens.job_token_may_start_jobs("acme")
    assert seen[-1][0] == "Bearer j2"
    first.close()


def test_what_is_wrong_with_one_owners_token_is_no_trouble_of_anothers() -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(401 if request.headers["authorization"] == "Bearer c2" else 200, json=[])

    first = HubClient("http://hub.test", "c1", "j1", clock=Clock(), transport=httpx2.MockTransport(answer))
    second = first.with_tokens("c2", "j2")
    second.lookup.may_start_jobs("acme")
    assert (first.trouble, second.trouble) == (None, "HTTP 401")
    first.close()
