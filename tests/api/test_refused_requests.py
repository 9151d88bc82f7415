"""Requests that cannot be meant, over HTTP: each a problem with its code, its field, a rule and a remedy in our words.

Nothing is stored by any of them, so all cases of a table go to one application.
"""

from __future__ import annotations

import json
import re
from typing import Any

from tests.api.conftest import Api
from tests.api.test_runs import BODY, submit

TOKEN = "hf_" + "aBcDeFgHiJkLmNoPqRsTuVwXyZaBcDeFgH"
# pydantic's own sentences
INSIDE = re.compile(
    r"Input should|Extra inputs|Field required|should (have|match)|valid (string|dict|list|integer|bool)|_error"
)
JSON = {"content-type": "application/json"}
GOOD = json.dumps(BODY).encode()
TRL = {"kind": "trl_sft", "model_name_or_path": "acme/base", "dataset_name": "acme/d"}


def script(**fields: Any) -> dict[str, Any]:
    return {"recipe": {**BODY["recipe"], **fields}}


def trl(**fields: Any) -> dict[str, Any]:
    return {"recipe": {**TRL, **fields}, "output_repo": "acme/out", "flavor": "t4-small"}


def told(answer: Any, status: int, code: str, field: str | None) -> dict[str, Any]:
    problem: dict[str, Any] = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, problem["code"], problem.get("field")) == (status, code, field), problem
    assert problem["remedy"], problem
    assert INSIDE.search(answer.text) is None, problem
    assert TOKEN not in answer.text
    return problem


VALUES: list[tuple[dict[str, Any], str] | tuple[dict[str, Any], str, str]] = [
    ({"timeout": "0"}, "timeout"),
    ({"timeout": "-1h"}, "timeout"),
    ({"timeout": "1h30"}, "timeout"),
    ({"timeout": "90"}, "timeout"),
    ({"timeout": "999d"}, "timeout"),
    ({"timeout": 59}, "timeout"),
    ({"timeout": 1.5}, "timeout"),
    ({"timeout": True}, "timeout"),
    ({"timeout": None}, "timeout"),
    ({"timeout": None, "max_cost_usd": "3"}, "max_cost_usd"),
    ({"max_cost_usd": -1}, "max_cost_usd"),
    ({"max_cost_usd": 1e-9}, "max_cost_usd"),
    ({"flavor": "A10G-large"}, "flavor"),
    ({"flavor": "a10g large"}, "flavor"),
    ({"flavor": ["a10g-large"]}, "flavor"),
    ({"flavor": "auto"}, "flavor"),
    ({"output_repo": "acme/../x"}, "output_repo"),
    ({"output_repo": "https://huggingface.co/acme/x"}, "output_repo"),
    ({"output_repo": "acme/" + "x" * 97}, "output_repo"),
    ({"output_repo": "\N{CYRILLIC SMALL LETTER A}cme/x"}, "output_repo"),
    ({"namespace": "my org"}, "namespace"),
    ({"labels": {str(number): "x" for number in range(60)}}, "labels"),
    ({"labels": {"a": {"b": "c"}}}, "labels.a"),
    ({"labels": {"script": "my project"}}, "labels.script"),
    ({"labels": ["a"]}, "labels"),
    ({"priority": 101}, "priority"),
    ({"priority": 1.5}, "priority"),
    ({"priority": "high"}, "priority"),
    ({"after": "run_x"}, "after"),
    ({"after": ["run_x", "run_x"]}, "after"),
    ({"after": ["run_x"] * 1000}, "after"),
    ({"start_before": "2026-12-01"}, "start_before"),
    ({"pilot": True}, "pilot"),
    ({"guards": True}, "guards"),
    ({"force": "true"}, "force"),
    ({"reuse": "always"}, "reuse"),
    ({"env": {"AB": 1}}, "env.AB"),
    ({"env": ["A=B"]}, "env"),
    ({"env": {"LD_PRELOAD": "/x.so"}}, "env.LD_PRELOAD"),
    ({"env": {"A=B": "c"}}, "env.A=B"),
    ({"env": {"WANDB_API_KEY": "0123456789abcdef"}}, "env.WANDB_API_KEY", "secret_in_text"),
    ({"env": {"AB": "1"}, "secrets": {"AB": "1234567"}}, "env.AB"),
    ({"secrets": {"K": "$KEY"}}, "secrets.K"),
    ({"secrets": {"K": 5}}, "secrets.K"),
    ({"secrets": ["K"]}, "secrets"),
    ({"max_cost": 3}, "max_cost", "unknown_field"),
    ({"recipe": "train.py"}, "recipe"),
    ({"recipe": {"source": "print(1)"}}, "recipe.kind"),
    ({"recipe": {"kind": "sft"}}, "recipe.kind"),
    (script(code="print(1)"), "recipe.code", "unknown_field"),
    (script(lora={}), "recipe.lora", "unknown_field"),
    (script(source=None), "recipe"),
    (script(source="def f(:"), "recipe.source"),
    (script(source="<!doctype html>"), "recipe.source"),
    (script(python="3.99"), "recipe.python"),
    (script(python="3.12.1"), "recipe.python"),
    (script(python=3.12), "recipe.python"),
    (script(args="--epochs 1"), "recipe.args"),
    (script(args=["--epochs", 1]), "recipe.args.1"),
    (script(dependencies="torch"), "recipe.dependencies"),
    (script(dependencies=["torch=2"]), "recipe.dependencies"),
    (script(dependencies=["x @ git+https://u:pa55word@github.com/a/b"]), "recipe.dependencies", "secret_in_text"),
    (script(source="# /// script\n# dependencies = ['torch==2.1']\n# ///\nf()", dependencies=["torch>=2.5"]), "recipe"),
    (trl(args=["--max_steps", "5"]), "recipe.args"),
    (trl(lora=True), "recipe.lora"),
    (trl(lora={"r": 0}), "recipe.lora.r"),
    (trl(lora={"rank": 8}), "recipe.lora.rank", "unknown_field"),
    (trl(quantization={"bits": 3}), "recipe.quantization.bits"),
    (trl(report_to="mlflow"), "recipe.report_to"),
    (trl(trl_version="latest"), "recipe.trl_version"),
    (trl(model_name_or_path="/data/model"), "recipe.model_name_or_path"),
    (trl(model_name_or_path="acme/base@main"), "recipe.model_name_or_path"),
    (trl(dataset_name=None), "recipe.dataset_name"),
    (trl(dataset_train_split="train[5:5]"), "recipe.dataset_train_split"),
    (trl(dataset_train_split="train[:101%]"), "recipe.dataset_train_split"),
    (trl(args={"dataset_train_split": "train [:5]"}), "recipe.args.dataset_train_split"),
    (trl(eval={"split": "test[5"}), "recipe.eval.split"),
    (trl(model_name_or_path="acme/out"), "output_repo"),
    ({**trl(), "env": {"HF_HUB_OFFLINE": "1"}}, "env.HF_HUB_OFFLINE"),
    ({**trl(), "secrets": {"HF_HUB_OFFLINE": "1"}}, "secrets.HF_HUB_OFFLINE"),
    ({**trl(), "volumes": [{"type": "model", "source": "acme/b", "mount_path": "data"}]}, "volumes.0.mount_path"),
]


def test_a_value_that_cannot_be_right_is_told(api: Api) -> None:
    for case in VALUES:
        change, field, code = (*case, "invalid")[:3]
        told(api("POST", "/runs", json={**BODY, **change}), 422, code, field)
    assert api("GET", "/runs").json()["data"] == []


NAMES = {
    "acme/\N{LATIN SMALL LETTER E WITH ACUTE}": "Send 'acme/e': letters are",
    "https://huggingface.co/acme/\N{LATIN SMALL LETTER E WITH ACUTE}t": "Send 'acme/et'",
    " acme/x ": "Send 'acme/x'",
    "acme/\N{LATIN SMALL LETTER SHARP S}": "Send it as owner/name",
}


def test_a_name_of_other_letters_is_told_with_one_that_is_taken(api: Api) -> None:
    for name, remedy in NAMES.items():
        problem = told(api("POST", "/runs", json={**BODY, "output_repo": name}), 422, "invalid", "output_repo")
        assert problem["remedy"].startswith(remedy)
        assert problem["remedy"].isascii(), "what is suggested is taken"
        assert "from a to z" in problem["detail"]


BODIES: list[tuple[bytes, dict[str, Any], int, str, str | None]] = [
    (b"", JSON, 400, "malformed_body", None),
    (b"{", JSON, 400, "malformed_body", None),
    (json.dumps(BODY).encode("utf-16"), JSON, 400, "malformed_body", None),
    (json.dumps(BODY).encode("utf-8-sig"), JSON, 400, "malformed_body", None),
    (b"[]", JSON, 422, "invalid", None),
    (b'{"timeout": "1h", "timeout": "9h"}', JSON, 422, "invalid", "timeout"),
    (b'{"priority": NaN}', JSON, 422, "invalid", "priority"),
    (b"{}", {"content-type": "text/plain"}, 415, "unsupported_media_type", "content-type"),
    (b"a=b", {"content-type": "application/x-www-form-urlencoded"}, 415, "unsupported_media_type", "content-type"),
    (b"{}", {"content-type": "application/json; charset=latin-1"}, 415, "unsupported_media_type", "content-type"),
    (b"{}", {**JSON, "content-encoding": "gzip"}, 415, "unsupported_media_type", "content-encoding"),
    (GOOD, {**JSON, "accept": "text/html"}, 406, "not_acceptable", "accept"),
    (GOOD, {**JSON, "idempotency-key": ""}, 422, "invalid", "idempotency-key"),
    (GOOD, {**JSON, "idempotency-key": "k" * 256}, 422, "invalid", "idempotency-key"),
    (
        json.dumps(BODY).encode(),
        {**JSON, "idempotency-key": "schl\xfcssel".encode()},
        422,
        "invalid",
        "idempotency-key",
    ),
    (b'{"' + TOKEN.encode() + b'": 1, "' + TOKEN.encode() + b'": 2}', JSON, 422, "invalid", "[secret]"),
]


def test_a_body_that_cannot_be_read_is_told(api: Api) -> None:
    for content, headers, status, code, field in BODIES:
        told(api("POST", "/runs", content=content, headers=headers), status, code, field)
    assert api("GET", "/runs").json()["data"] == []


def test_a_body_that_grows_beyond_measure_is_refused_while_it_comes(api: Api) -> None:
    pieces = (b"x" * 2**16 for _ in range(20))
    told(api("POST", "/runs", content=pieces, headers=JSON), 413, "too_large", None)


QUERIES = [
    ("limit=0", "limit", "invalid"),
    ("limit=1e9", "limit", "invalid"),
    ("limit=1&limit=2", "limit", "invalid"),
    ("after=garbage", "after", "invalid"),
    ("state=bogus", "state.0", "invalid"),
    ("created_after=yesterday", "created_after", "invalid"),
    ("created_after=2026-01-01", "created_after", "invalid"),
    ("label=x", "label", "invalid"),
    (f"label={TOKEN}", "label", "invalid"),
    ("status=queued", "status", "unknown_field"),
    ("lmit=5", "lmit", "unknown_field"),
    (f"{TOKEN}=1", "[secret]", "unknown_field"),
]


def test_a_parameter_that_cannot_be_meant_is_told(api: Api) -> None:
    for query, field, code in QUERIES:
        told(api("GET", f"/runs?{query}"), 422, code, field)


def test_parameters_that_may_be_repeated_are(api: Api) -> None:
    assert api("GET", "/runs?state=queued&state=running&limit=5").status_code == 200


def test_a_method_that_is_not_taken_is_told_with_those_that_are(api: Api) -> None:
    for method, path, allowed in (
        ("DELETE", "/runs", "GET, POST"),
        ("PUT", "/runs/run_x", "GET, PATCH"),
        ("OPTIONS", "/runs", "GET, POST"),
    ):
        answer = api(method, path)
        told(answer, 405, "method_not_allowed", None)
        assert answer.headers["allow"] == allowed


def test_an_address_that_there_is_not_is_told_with_the_nearest(api: Api) -> None:
    for path in ("/runs/", "/Runs", "/run"):
        assert "/runs?" in told(api("POST", path, json=BODY), 404, "not_found", None)["remedy"]


def test_an_answer_in_json_is_given_to_whoever_takes_it(api: Api) -> None:
    for accept in ("*/*", "application/*", "text/html, */*;q=0.1", "", "garbage", "application/json"):
        assert api("POST", "/runs", json=BODY, headers={"accept": accept}).status_code == 201, accept


def test_no_problem_gives_a_token_back(api: Api) -> None:
    run_id = submit(api)["id"]
    for method, path, body in (
        ("GET", f"/runs/{TOKEN}", None),
        ("GET", f"/runs?team={TOKEN}", None),
        ("POST", "/runs", {**BODY, "team": TOKEN}),
        ("POST", "/teams", {"name": TOKEN}),
        ("PATCH", f"/runs/{run_id}", {"flavor": TOKEN}),
    ):
        assert TOKEN not in api(method, path, json=body).text, (method, path)
