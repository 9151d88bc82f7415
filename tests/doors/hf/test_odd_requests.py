"""Whatever is sent, the door answers as the Hub does, and never by a fault of ours."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.doors.hf.job_body import JobBody
from tests.api.conftest import Api
from tests.doors.hf.test_jobs import SPEC

TEXTS = st.text(max_size=12) | st.sampled_from(["tg_", "uv", "run", "https://", "-c", "\u2026", "a" * 200, "\ud800"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=8,
)
ODD = st.dictionaries(st.sampled_from([*JobBody.model_fields, "other"]), VALUES, max_size=4)


@given(changes=ODD, words=st.lists(TEXTS, max_size=5), secrets=st.dictionaries(TEXTS, TEXTS, max_size=3))
@settings(max_examples=150, suppress_health_check=list(HealthCheck))
def test_odd_jobs_are_runs_or_refused(api: Api, changes: Any, words: list[str], secrets: dict[str, str]) -> None:
    sent = json.dumps({**SPEC, "command": words, "secrets": secrets, **changes})
    answer = api("POST", "/api/jobs/acme", content=sent.encode(), headers={"content-type": "application/json"})
    if answer.status_code == 200:
        assert api("GET", f"/api/jobs/acme/{answer.json()['id']}").json()["command"]
        return
    assert 400 <= answer.status_code < 500, (changes, words, secrets, answer.text)
    assert answer.headers["x-error-message"]
    assert answer.json()["error"]


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"{", b'{"labels": 1}', b'{"labels": {"idempotency-key": 1}}'])
def test_odd_bodies_are_refused(api: Api, body: bytes) -> None:
    answer = api("POST", "/api/jobs/acme", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]


PATHS = ["//", "/acme/../../runs", "/acme/%2e%2e/x", "/%00", "/acme/run_x/logs?tail=0", "/acme?cursor=x"]


@pytest.mark.parametrize("path", PATHS)
def test_odd_addresses_are_refused(api: Api, path: str) -> None:
    answer = api("GET", f"/api/jobs{path}")
    assert 400 <= answer.status_code <= 501
    assert answer.status_code != 500
