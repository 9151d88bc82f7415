"""What an image and its command come to."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.job import IMAGE
from service.doors.hf.recipe import mapped

URL = "https://example.com/train.py"
SFT = "https://raw.githubusercontent.com/huggingface/trl/v1.16.0/trl/scripts/sft.py"
TRAINING = ["--model_name_or_path", "a/b", "--dataset_name", "c/d", "--max_steps", "3", "--push_to_hub"]
REPO = ["--hub_model_id", "acme/model"]


@pytest.mark.parametrize(
    ("image", "words", "recipe", "kept_image"),
    [
        (IMAGE, ["uv", "run", URL], {"url": URL, "args": [], "dependencies": []}, None),
        (
            IMAGE,
            ["uv", "run", "--with", "a", "--with=b>1", "--python", "3.11", "-q", URL, "--lr", "1"],
            {"url": URL, "args": ["--lr", "1"], "dependencies": ["a", "b>1"], "python": "3.11"},
            None,
        ),
        ("acme/x:1", ["uv", "run", URL], {"url": URL, "args": [], "dependencies": []}, "acme/x:1"),
        ("python:3.11-slim", ["python", "-c", "1", "x"], {"source": "1", "args": ["x"], "python": "3.11"}, None),
        (IMAGE, ["python3", "-c", "print(1)"], {"source": "print(1)", "args": []}, None),
        # another image has packages of its own
        ("pytorch:2", ["python", "-c", "print(1)"], {"command": ["python", "-c", "print(1)"]}, "pytorch:2"),
        ("python:3.12", ["python", "train.py"], {"command": ["python", "train.py"]}, "python:3.12"),
        (IMAGE, ["uv", "run", "--isolated", URL], {"command": ["uv", "run", "--isolated", URL]}, None),
        (IMAGE, ["uv", "run", "lighteval", "x"], {"command": ["uv", "run", "lighteval", "x"]}, None),
        (IMAGE, ["uv", "run", "/data/train.py"], {"command": ["uv", "run", "/data/train.py"]}, None),
        (IMAGE, ["uv", "run", "--with"], {"command": ["uv", "run", "--with"]}, None),
        (IMAGE, ["uv", "run"], {"command": ["uv", "run"]}, None),
        (IMAGE, ["python", "-c"], {"command": ["python", "-c"]}, None),
        (None, ["true"], {"command": ["true"]}, None),
    ],
)  # fmt: skip
def test_what_can_be_read_becomes_a_script_and_the_rest_runs_as_it_is(
    image: str | None, words: list[str], recipe: dict[str, Any], kept_image: str | None
) -> None:
    found = mapped(image, words)
    assert (found.recipe, found.image) == ({"kind": "script", **recipe}, kept_image)


@pytest.mark.parametrize(
    "words",
    [
        ["uv", "run", "--with", "trl", "trl", "sft", *TRAINING, *REPO],
        ["uv", "run", "--with", "trl==1.16.0", "trl", "sft", *TRAINING, *REPO],
        ["uv", "run", SFT, *TRAINING, *REPO],
        ["trl", "sft", *TRAINING, *REPO],
    ],
)
def test_trls_own_training_is_checked(words: list[str]) -> None:
    found = mapped(IMAGE, words)
    assert found.recipe["kind"] == "trl_sft"
    assert (found.recipe["args"], found.output_repo) == ({"max_steps": 3}, "acme/model")
    assert any("checked before a job is paid" in note for note in found.notes)


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (["uv", "run", "--with", "trl", "trl", "sft", *TRAINING], "command"),  # published nowhere
        (["uv", "run", "--with", "trl==9.9.9", "trl", "sft", *TRAINING, *REPO], "command"),
        (["uv", "run", "trl", "sft", "stray", *REPO], "command"),
        (["uv", "run", SFT.replace("v1.16.0", "main"), *TRAINING, *REPO], "url"),
        (["uv", "run", SFT, *TRAINING], "url"),
    ],
)
def test_what_no_recipe_has_of_trl_runs_as_it_was_sent(words: list[str], kind: str) -> None:
    found = mapped(IMAGE, words)
    assert (found.recipe["kind"], kind in found.recipe) == ("script", True)
    said = found.recipe.get("command") or [*words[:2], found.recipe["url"], *found.recipe["args"]]
    assert said == words


@given(
    st.lists(
        st.sampled_from(["uv", "run", "python", "-c", "trl", "sft", "--with", "-p", "3.12", URL, SFT, *REPO]),
        min_size=1,
    )
)
def test_every_command_is_one_of_them(words: list[str]) -> None:
    """No word is lost, whatever they are: what is no script runs as it is, and a script has the words behind it."""
    found = mapped(IMAGE, words)
    recipe = found.recipe
    if "command" in recipe:
        assert recipe["command"] == words
    elif recipe["kind"] == "script":
        assert words[len(words) - len(recipe["args"]) :] == recipe["args"]
        assert {"url", "source"} & recipe.keys()
