"""What a create refuses, as the real service does, and what it must let through."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.sandbox.job_clients import SPEC, Desk

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"command": ["python", ""]}, "at command[1]"),
    ({"command": []}, "at command"),
    ({"command": "python"}, "expected array, received string"),
    ({"command": ["python", 3]}, "at command[1]"),
    ({"arguments": [1]}, "at arguments[0]"),
    ({"flavor": "h100"}, "at flavor"),
    ({"flavor": None}, "at flavor"),
    ({"environment": {"A": "x"}}, "at environment.A"),
    ({"environment": {"_A": "x"}}, "at environment._A"),
    ({"environment": {"A-B": "x"}}, "at environment.A-B"),
    ({"environment": {"AB\n": "x"}}, "at environment.AB"),
    ({"environment": {"AB": 1}}, "expected string, received number"),
    ({"environment": {"AB": None}}, "expected string, received null"),
    ({"secrets": {"_A": "x"}}, "at secrets._A"),
    ({"secrets": {"A": True}}, "expected string, received boolean"),
    ({"labels": {"a b": "x"}}, "at labels.a b"),
    ({"labels": {"": "x"}}, "Invalid key in record"),
    ({"labels": {"k" * 101: "x"}}, "<=100 characters"),
    ({"labels": {"k": "a/b"}}, "at labels.k"),
    ({"labels": {"k": "v" * 101}}, "<=100 characters"),
    ({"timeoutSeconds": 0}, "at timeoutSeconds"),
    ({"timeoutSeconds": -5}, "at timeoutSeconds"),
    ({"timeoutSeconds": 1.5}, "expected int"),
    ({"timeoutSeconds": "60"}, "expected number, received string"),
    ({"timeoutSeconds": True}, "expected number, received boolean"),
    ({"attempts": 0}, "at attempts"),
    ({"spaceId": "sandbox/space"}, "Exactly one of dockerImage or spaceId"),
    ({"dockerImage": ""}, "at dockerImage"),
    ({"timeout": 60}, 'Unrecognized key: "timeout"'),
    ({"tags": [], "hello": 1}, 'Unrecognized keys: "tags", "hello"'),
    ({"volumes": []}, "at volumes"),
    ({"volumes": [{"type": "bucket", "source": "a/b", "mountPath": "data"}]}, "at volumes[0].mountPath"),
    ({"expose": {"ports": [0]}}, "at expose.ports[0]"),
    ({"expose": {"ports": list(range(1, 22))}}, "at expose.ports"),
    ({"network": {"group": "Train"}}, "at network.group"),
    ({"resourceGroupId": "abc"}, "at resourceGroupId"),
    ({"ssh": {}}, "expected boolean, received undefined"),
]


@pytest.mark.parametrize(("fields", "told"), REFUSED, ids=[str(fields)[:50] for fields, _ in REFUSED])
def test_breaking_a_rule_is_a_400_that_names_the_place(fields: dict[str, Any], told: str) -> None:
    desk = Desk()
    status, text = desk.refused("POST", "/api/jobs/sandbox", SPEC | fields)
    assert status == 400
    assert told in text
    assert desk.ask("GET", "/api/jobs/sandbox") == []


@pytest.mark.parametrize("missing", ["command", "flavor", "dockerImage"])
def test_a_required_field_cannot_be_left_out(missing: str) -> None:
    body = {name: value for name, value in SPEC.items() if name != missing}
    status, text = Desk().refused("POST", "/api/jobs/sandbox", body)
    assert (status, missing in text) == (400, True)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"null", b"\xff", b"[" * 100_000], ids=range(7))
def test_a_body_that_is_no_object_is_a_400(body: bytes) -> None:
    assert Desk().refused("POST", "/api/jobs/sandbox", body)[0] == 400


def test_every_broken_rule_is_told_at_once() -> None:
    _, text = Desk().refused("POST", "/api/jobs/sandbox", SPEC | {"command": [""], "flavor": "x", "labels": {"a": "/"}})
    assert text.count("✖") == 3


@pytest.mark.parametrize(
    "fields",
    [
        {"timeoutSeconds": None},
        {"timeoutSeconds": 2**53 - 1},
        {"arguments": [""]},
        {"environment": {"AB": "", "a_1": "x"}},
        {"secrets": {"A": ""}},
        {"labels": {"dots.are-fine_too": "1.2", "empty": ""}},
        {"labels": {"k" * 100: "v" * 100}},
        {"attempts": 3, "arch": "amd64", "ssh": {"enabled": True}},
        {"volumes": [{"type": "model", "source": "a/b", "mountPath": "/m", "readOnly": True}]},
        {"expose": {"ports": [8000], "portsPublic": [8000]}},
        {"network": {"group": "train", "aliases": ["head"]}},
    ],
)
def test_what_the_rules_allow_is_accepted(fields: dict[str, Any]) -> None:
    desk = Desk()
    desk.core.hub.publish("model", "a/b", {}, desk.now)
    assert desk.create(**fields)["status"]["stage"] == "SCHEDULING"


def test_a_space_can_stand_in_for_an_image() -> None:
    body = {"spaceId": "sandbox/space", "command": ["ls"], "flavor": "t4-small"}
    job = Desk().ask("POST", "/api/jobs/sandbox", body)
    assert job["spaceId"] == "sandbox/space"
    assert "dockerImage" not in job


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@example(name="timeoutSeconds", value=float("inf"))
@example(name="environment", value={"AB": "\ud800"})
@example(name="labels", value={"\ud800": "x"})
@given(
    name=st.sampled_from([*SPEC, "environment", "secrets", "labels", "timeoutSeconds", "volumes"]), value=json_values
)
def test_no_json_value_breaks_the_checks(name: str, value: Any) -> None:
    status = Desk().send("POST", "/api/jobs/sandbox", SPEC | {name: value}).status
    assert status in (200, 400)


words = st.sampled_from(
    [
        "api",
        "jobs",
        "sandbox",
        "count",
        "logs",
        "cancel",
        "labels",
        "auth-check",
        "write",
        "faults",
        "whoami-v2",
        "",
        "é",
    ]
)


@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD"]),
    parts=st.lists(words, max_size=6),
    query=st.text(max_size=20),
    body=st.binary(max_size=20) | st.sampled_from([b"{}", b'{"labels":{}}', b'{"rate_limit":1e300}']),
)
def test_no_request_breaks_the_core(method: str, parts: list[str], query: str, body: bytes) -> None:
    response = Desk().send(method, f"/{'/'.join(parts)}?{query}", body)
    assert 200 <= response.status < 500
    assert response.headers["x-request-id"]


def test_volumes_and_the_resource_group_are_kept_and_shown_in_every_answer() -> None:
    desk = Desk()
    bucket = {"type": "bucket", "source": "sandbox/ckpt", "mountPath": "/ckpt", "path": "runs/1"}
    model = {"type": "model", "source": "sandbox/base", "mountPath": "/base", "revision": "v1", "readOnly": False}
    desk.core.hub.buckets.add("sandbox/ckpt", desk.now)
    desk.core.hub.publish("model", "sandbox/base", {}, desk.now)
    base = desk.core.hub.repo("model", "sandbox/base")
    base.refs["refs/tags/v1"] = base.head
    group = "0123456789abcdef01234567"
    made = desk.ask("POST", "/api/jobs/sandbox", SPEC | {"volumes": [bucket, model], "resourceGroupId": group})
    again = desk.ask("POST", f"/api/jobs/sandbox/{made['id']}/duplicate")
    for job in (made, desk.ask("GET", f"/api/jobs/sandbox/{made['id']}"), *desk.ask("GET", "/api/jobs/sandbox"), again):
        assert job["volumes"] == [bucket, {**model, "readOnly": True}]
        assert job["resourceGroupId"] == group


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"type": "repo"}, "at volumes[0].type"),
        ({"source": ""}, "at volumes[0].source"),
        ({"mount_path": "/x"}, 'Unrecognized key: "mount_path"'),
        ({"readOnly": "yes"}, "at volumes[0].readOnly"),
    ],
)
def test_a_volume_that_breaks_a_rule_is_refused(change: dict[str, Any], told: str) -> None:
    volume = {"type": "bucket", "source": "a/b", "mountPath": "/d", **change}
    status, text = Desk().refused("POST", "/api/jobs/sandbox", SPEC | {"volumes": [volume]})
    assert status == 400
    assert told in text
