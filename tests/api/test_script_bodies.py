"""Bodies with scripts, images, volumes and secrets in clear: each wrong one is a problem that helps."""

from __future__ import annotations

from typing import Any

import pytest

from service.domain.leak import find
from tests.api.conftest import Api
from tests.api.test_runs import BODY, submit
from tests.flow.conftest import World

TOKEN = "hf_" + "aBcDeFgHiJkLmNoPqRsTuVwXyZaBcDeFgH"
VOLUME = {"type": "model", "source": "acme/base", "mount_path": "/base"}


def script(**fields: Any) -> dict[str, Any]:
    return {"recipe": {"kind": "script", **fields}}


@pytest.mark.parametrize(
    ("change", "code", "field", "says"),
    [
        (script(), "invalid", "recipe", "give one of"),
        (script(source="x", url="https://example.com/x.py"), "invalid", "recipe", "give one of"),
        (script(source=""), "invalid", "recipe.source", "empty"),
        (script(source=1), "invalid", "recipe.source", "takes a text"),
        (script(source="x", sha256="abc"), "invalid", "recipe.sha256", "64 digits"),
        (script(source="x", sha256="0" * 64), "invalid", "recipe.sha256", "sha256"),
        (script(source="# /// script\n# dependencies = [\n# ///\n"), "invalid", "recipe.source", "not TOML"),
        (script(source="# /// script\n# x = 1\n# ///\n\n" * 2), "invalid", "recipe.source", "more than one"),
        (script(source="# /// script\nx\n"), "invalid", "recipe.source", "line 1"),
        (script(source="# /// script\n# dependencies = ['a b']\n# ///\n"), "invalid", "recipe.source", "PEP 508"),
        (script(source="# /// script\n# requires-python = '3'\n# ///\n"), "invalid", "recipe.source", "specifier"),
        (
            script(source="# /// script\n# requires-python = '>=3.13'\n# ///\n", python="3.12"),
            "invalid",
            "recipe.python",
            "does not meet",
        ),
        (script(url="http://example.com/x.py"), "invalid", "recipe.url", "https"),
        (script(url="https://10.0.0.1/x.py"), "invalid", "recipe.url", "public"),
        (script(url="https://github.com/a/b/blob/main/x.py"), "invalid", "recipe.url", "raw.githubusercontent.com/a/b"),
        (script(url="https://[/"), "invalid", "recipe.url", ""),
        (script(url=["https://example.com"]), "invalid", "recipe.url", "takes a text"),
        (script(source=f"login('{TOKEN}')"), "secret_in_text", "recipe.source", "Hugging Face token"),
        ({"env": {"KEY": TOKEN}}, "secret_in_text", "env.KEY", "'secrets'"),
        ({"labels": {"a": TOKEN}}, "secret_in_text", "labels.a", "revoke"),
        ({"secrets": {"K": "my own value"}, "env": {"K2": "my own value"}}, "secret_in_text", "env.K2", "run's own"),
        ({"image": "evil/image:1"}, "image_not_allowed", "image", "TUNEGATE_IMAGE_ALLOWLIST"),
        ({"image": "a b"}, "invalid", "image", "host/path:tag"),
        ({"image": 1}, "invalid", "image", "takes a text"),
        ({"volumes": {}}, "invalid", "volumes", "list"),
        ({"volumes": [1]}, "invalid", "volumes.0", ""),
        ({"volumes": [{**VOLUME, "mount_path": "/etc"}]}, "invalid", "volumes.0.mount_path", "/data"),
        ({"volumes": [VOLUME, VOLUME]}, "invalid", "volumes", "/base"),
        ({"volumes": [{**VOLUME, "mountPath": "/x"}]}, "unknown_field", "volumes.0.mountPath", "mount_path"),
        ({"volumes": [{**VOLUME, "read_only": False}]}, "invalid", "volumes.0.read_only", "read-only"),
        ({"volumes": [VOLUME] * 21}, "invalid", "volumes", "20"),
        ({"resource_group": "acme"}, "invalid", "resource_group", "24 digits"),
    ],
)
def test_a_wrong_body_is_a_problem_that_helps(
    api: Api, change: dict[str, Any], code: str, field: str, says: str
) -> None:
    answer = api("POST", "/runs", json={**BODY, **change})
    assert answer.status_code == 422, answer.text
    problem = answer.json()
    assert (problem["code"], problem["field"]) == (code, field)
    assert says in answer.text
    assert TOKEN not in answer.text
    assert "my own value" not in answer.text
    assert api("GET", "/runs").json()["data"] == []


def test_a_run_shows_its_script_and_what_its_header_got(api: Api) -> None:
    source = (
        "# /// script\n# requires-python = '>=3.11'\n# dependencies = ['numpy']\n# [tool.hf-jobs]\n"
        "# python = '3.12'\n# flavor = 'h200'\n# ///\nprint(1)\n"
    )
    run = submit(api, **script(source=source), volumes=[VOLUME], resource_group="0" * 24)
    assert run["recipe"]["header"] == {
        "name": None,
        "requires_python": ">=3.11",
        "dependencies": ["numpy"],
        "honoured": {"python": "3.12"},
        "ignored": ["flavor"],
    }
    assert run["flavor"] == "cpu-basic"
    assert len(run["recipe"]["sha256"]) == 64
    assert run["image"] == "ghcr.io/astral-sh/uv:python3.12-bookworm"
    assert run["volumes"] == [{**VOLUME, "revision": None, "read_only": True, "path": None}]
    assert api("GET", f"/runs/{run['id']}").json() == run
    events = api("GET", f"/runs/{run['id']}/events").text
    assert "volumes" not in events


def test_the_installations_own_limits_count(world: World, request: pytest.FixtureRequest) -> None:
    world.limit(image_allowlist=("acme/*",), script_allowed_targets=("10.0.0.1",))
    api: Api = request.getfixturevalue("api")
    assert submit(api, image="acme/own:1")["image"] == "acme/own:1"
    assert submit(api, **script(url="http://10.0.0.1/x.py"))["reason"] == "checking"


def test_a_run_that_waits_for_its_script_says_so(api: Api) -> None:
    run = submit(api, **script(url="https://example.com/x.py"))
    assert (run["state"], run["reason"]) == ("queued", "checking")
    told = api("GET", f"/runs/{run['id']}/explain").json()
    assert [gate["gate"] for gate in told["gates"] if not gate["passed"]] == ["preflight", "script"]


def test_a_trl_run_may_use_them_too(api: Api) -> None:
    recipe = {"kind": "trl_sft", "model_name_or_path": "acme/base", "dataset_name": "acme/d", "args": {}}
    run = submit(
        api, recipe=recipe, flavor="t4-small", output_repo="acme/x", volumes=[VOLUME], image="vllm/vllm-openai:v1"
    )
    assert (run["image"], run["volumes"][0]["mount_path"]) == ("vllm/vllm-openai:v1", "/base")


def test_the_services_own_keys_are_known_as_secrets(api: Api) -> None:
    assert find(str(api.keys["member"])) == "a key of this service"
