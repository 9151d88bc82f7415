"""What a job is given beside its recipe: image, volumes, resource group; and that no secret stands in clear."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from service.domain.clear_text import refuse_secrets
from service.domain.errors import SecretInText
from service.domain.image import DEFAULT_ALLOWED, REFERENCE, image_refusal
from service.domain.job import IMAGE
from service.domain.recipe import read, stored, with_source
from service.domain.request import RunRequest
from service.domain.script import Script, digest
from service.domain.script_url import script_url_refusal
from service.domain.volume import Volume

TOKEN = "hf_" + "aBcDeFgHiJkLmNoPqRsTuVwXyZaBcDeFgH"
BODY: dict[str, Any] = {
    "recipe": {"kind": "script", "source": "print(1)\n"},
    "flavor": "cpu-basic",
    "timeout": "10m",
}
HEADER = (
    "# /// script\n# [tool.hf-jobs]\n# image = 'vllm/vllm-openai:v1'\n# python = '3.12'\n# flavor = 'h200'\n# ///\n"
)


def volume(**changes: Any) -> dict[str, Any]:
    return {"type": "model", "source": "acme/base", "mount_path": "/base", **changes}


def request(**changes: Any) -> RunRequest:
    return RunRequest.model_validate({**BODY, **changes})


@pytest.mark.parametrize(
    "name",
    [IMAGE, "python:3.12", "vllm/vllm-openai:latest", "host.example:5000/a/b-c_d@sha256:" + "a" * 64, "busybox"],
)
def test_names_of_images(name: str) -> None:
    assert request(image=name).image == name


@pytest.mark.parametrize(
    "name", ["", "Upper/Case", "a/../b", "a b", "a:", "https://x/y", "a/b:t/x", "a\n", "-x", "hf.co/spaces/a/B"]
)
def test_what_is_no_name_of_an_image(name: str) -> None:
    with pytest.raises(ValidationError):
        request(image=name)


def test_the_images_that_are_allowed_by_themselves_have_a_shell_and_uv() -> None:
    assert image_refusal(IMAGE, DEFAULT_ALLOWED) is None
    assert image_refusal("ghcr.io/astral-sh/uv:0.9-python3.13-trixie-slim", DEFAULT_ALLOWED) is None
    for name in ("ghcr.io/astral-sh/uv:latest", "ghcr.io/astral-sh/uv:python3.12-alpine", "evil/uv:bookworm"):
        assert "ghcr.io/astral-sh/uv:*bookworm*" in (image_refusal(name, DEFAULT_ALLOWED) or "")
    assert "none" in (image_refusal(IMAGE, ()) or "")


def test_an_images_name_is_read_in_one_go() -> None:
    began = time.process_time()
    for part in ("a", "a-", "a__", "a.", "a/"):
        assert REFERENCE.fullmatch(part * 20_000 + "!") is None
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    ("given_volume", "says"),
    [
        (volume(mount_path="data"), "absolute"),
        (volume(mount_path="/"), "absolute"),
        (volume(mount_path="/a/../etc"), "absolute"),
        (volume(mount_path="/a//b"), "absolute"),
        (volume(mount_path="/data/"), "absolute"),
        (volume(mount_path="/etc"), "belongs to the system"),
        (volume(mount_path="/usr/lib/x"), "belongs to the system"),
        (volume(mount_path="/tmp/x"), "belongs to the system"),
        (volume(mount_path="/opt"), "belongs to the system"),
        (volume(type="repo"), "model"),
        (volume(source="../x"), "no name on the Hub"),
        (volume(source="a/b/c"), "no name on the Hub"),
        (volume(source="acme", type="bucket"), "owner/name"),
        (volume(read_only=False), "always read-only"),
        (volume(type="bucket", revision="main"), "no revisions"),
        (volume(revision="a b"), "branch or a tag"),
        (volume(revision="a/../b"), "branch or a tag"),
        (volume(path="../x"), "relative"),
        (volume(path="/x"), "relative"),
        (volume(mountPath="/x"), "mountPath"),
    ],
)
def test_volumes_that_cannot_be_mounted(given_volume: dict[str, Any], says: str) -> None:
    with pytest.raises(Exception, match=says) as told:
        request(volumes=[given_volume])
    assert "volumes" in str(told.value) or "mount_path" in getattr(told.value, "remedy", "")


@pytest.mark.parametrize("paths", [("/data", "/data"), ("/data", "/data/x"), ("/data", "/data-x", "/data/x")])
def test_mounts_are_apart(paths: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError, match=r"/data"):
        request(volumes=[volume(mount_path=path) for path in paths])
    assert request(volumes=[volume(mount_path=path) for path in ("/data", "/data2", "/opt/ml")])


def test_only_buckets_are_written() -> None:
    assert Volume.model_validate(volume(source="gpt2")).is_read_only
    assert not Volume.model_validate(volume(type="bucket")).is_read_only
    assert Volume.model_validate(volume(type="bucket", read_only=True)).is_read_only


@pytest.mark.parametrize("value", ["acme", "0123456789ABCDEF01234567", "0" * 23, 1])
def test_a_resource_group_is_named_by_its_id(value: object) -> None:
    with pytest.raises(ValidationError):
        request(resource_group=value)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"env": {"KEY": TOKEN}}, "env.KEY"),
        ({"labels": {"a": TOKEN}}, "labels.a"),
        ({"labels": {TOKEN: "a"}}, "labels"),
        ({"recipe": {"kind": "script", "source": f"login('{TOKEN}')"}}, "recipe.source"),
        ({"recipe": {"kind": "script", "source": "x", "args": ["--x", TOKEN]}}, "recipe.args.1"),
        ({"recipe": {"kind": "script", "source": "x", "dependencies": [f"no requirement {TOKEN}"]}}, "recipe.depend"),
        ({"recipe": {"kind": TOKEN}}, "recipe.kind"),
        ({"flavor": TOKEN}, "flavor"),
        ({TOKEN: 1}, "the body"),
        ({"secrets": {TOKEN: "x"}}, "secrets"),
        ({"secrets": {"K": "my own value"}, "env": {"KEY": "xmy own valuex"}}, "env.KEY"),
        ({"secrets": {"K": "my own value"}, "labels": {"a": "my own value"}}, "labels.a"),
        (
            {"secrets": {"K": "l1\nsecond line"}, "recipe": {"kind": "script", "source": "# second line"}},
            "recipe.source",
        ),
        (
            {"secrets": {"K": "my own value"}, "recipe": {"kind": "trl_sft", "args": {"x": ["my own value"]}}},
            "recipe.args",
        ),
    ],
)
def test_a_secret_in_clear_is_refused_before_any_rule_can_quote_it(change: dict[str, Any], field: str) -> None:
    with pytest.raises(SecretInText) as told:
        request(**change)
    assert (told.value.field or "the body").startswith(field)
    said = f"{told.value.detail} {told.value.field} {told.value.remedy}"
    assert TOKEN not in said
    assert "my own value" not in said
    assert "second line" not in said


def test_in_secrets_a_secret_is_at_home() -> None:
    assert request(secrets={"KEY": TOKEN, "USER": "cpu-basic", "SHORT": "10m"}).secrets["KEY"] == TOKEN


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just(TOKEN),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(body=st.dictionaries(st.sampled_from(["env", "secrets", "recipe", "x"]), JSON, max_size=4))
def test_wherever_a_token_stands_it_is_found_and_not_repeated(body: dict[str, Any]) -> None:
    secrets = body.get("secrets")
    # at home there is a value that is a text; an object names a secret of the team's
    named = [value for value in secrets.values() if isinstance(value, dict)] if isinstance(secrets, dict) else []
    if TOKEN not in str({**body, "secrets": [*(secrets if isinstance(secrets, dict) else ()), *named]}):
        refuse_secrets(body)
        return
    with pytest.raises(SecretInText) as told:
        refuse_secrets(body)
    assert TOKEN not in f"{told.value.detail}{told.value.field}"


def test_depth_is_no_fault() -> None:
    deep: Any = TOKEN
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(SecretInText):
        refuse_secrets({"env": deep})


def test_what_is_kept_of_a_script_says_what_was_honoured() -> None:
    source = HEADER + "print(1)\n"
    kept, image = stored(Script.model_validate({"kind": "script", "source": source}))
    assert (kept["sha256"], kept["python"], image) == (digest(source), "3.12", "vllm/vllm-openai:v1")
    assert kept["header"]["honoured"] == {"image": "vllm/vllm-openai:v1", "python": "3.12"}
    assert kept["header"]["ignored"] == ["flavor"]
    assert read(kept) == Script.model_validate(
        {"kind": "script", "source": source, "sha256": digest(source), "python": "3.12"}
    )


def test_a_stored_script_is_read_by_the_rules_that_it_was_sent_under() -> None:
    kept, _ = stored(Script.model_validate({"kind": "script", "source": "print(1)\n"}))
    source = "# /// script\n# requires-python = '<3'\n# ///\n"  # a rule that came later refuses it
    assert read({**kept, "source": source, "sha256": digest(source)}).source == source  # type: ignore[union-attr]
    with pytest.raises(ValidationError, match="sha256"):
        read({**kept, "source": source})


def test_what_the_caller_says_goes_before_the_header() -> None:
    recipe = Script.model_validate({"kind": "script", "source": HEADER + "print(1)\n", "python": "3.11"})
    kept, image = stored(recipe, IMAGE)
    assert (kept["python"], image) == ("3.11", IMAGE)
    assert kept["header"]["honoured"] == {}
    assert kept["header"]["ignored"] == ["flavor", "image", "python"]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({}, "give one of"),
        ({"source": "x", "url": "https://example.com/x.py"}, "give one of"),
        ({"source": "x", "sha256": "0" * 64}, "sha256"),
        ({"source": "# /// script\n# requires-python = '>=3.13'\n# ///\n", "python": "3.12"}, "requires-python"),
        (
            {"source": "# /// script\n# requires-python = '>=3.13'\n# [tool.hf-jobs]\n# python = '3.12'\n# ///\n"},
            "does not",
        ),
        ({"source": "# /// script\n# requires-python = '>=4'\n# ///\n"}, "no Python"),
        ({"source": "# /// script\n# dependencies = 1\n# ///\n"}, "list of texts"),
    ],
)
def test_scripts_that_contradict_themselves(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Script.model_validate({"kind": "script", **fields})


def test_a_fetched_script_is_held_to_what_was_asked_for() -> None:
    asked = Script.model_validate({"kind": "script", "url": "https://example.com/x.py", "sha256": digest("print(1)")})
    kept, _ = stored(asked)
    assert (kept["source"], kept["header"]) == (None, None)
    assert with_source(kept, "print(1)").source == "print(1)"
    with pytest.raises(ValidationError, match="sha256"):
        with_source(kept, "print(2)")


@pytest.mark.parametrize(
    ("url", "remedy"),
    [
        ("https://github.com/o/r/blob/main/a/x.py#L3", "https://raw.githubusercontent.com/o/r/main/a/x.py"),
        ("https://gist.github.com/o/0a1b2c", "https://gist.githubusercontent.com/o/0a1b2c/raw"),
        ("https://huggingface.co/datasets/o/r/blob/main/x.py", "https://huggingface.co/datasets/o/r/resolve/main/x.py"),
        ("https://gitlab.com/g/p/-/blob/main/x.py", "https://gitlab.com/g/p/-/raw/main/x.py"),
        ("http://example.com/x.py", "https://"),
        ("ftp://example.com/x.py", "https://"),
        ("https://127.0.0.1/x.py", "public"),
        ("https://user:word@example.com/x.py", "public"),
        ("file:///etc/passwd", "https://"),
        ("x.py", "source"),
    ],
)
def test_addresses_that_are_not_fetched(url: str, remedy: str) -> None:
    refusal = script_url_refusal(url, ())
    assert refusal is not None
    assert remedy in refusal[1]


def test_raw_addresses_are_fetched() -> None:
    for url in (
        "https://raw.githubusercontent.com/o/r/main/x.py",
        "https://huggingface.co/datasets/o/r/resolve/main/x.py",
    ):
        assert script_url_refusal(url, ()) is None
