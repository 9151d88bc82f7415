"""What may follow a run, what its scripts need, and what is read of what they tell."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import pytest
from pydantic import TypeAdapter

from service.domain import header
from service.domain.follow_up import FOLLOW_UPS, FollowUp, Model, failure_in, read_result, script_of
from service.domain.recipe import read
from service.domain.run import Reason
from service.domain.script import Script
from service.domain.trl.flags import release
from service.domain.trl_sft import DEFAULT_RELEASE, TrlSft
from service.follow_ups.smoke_test import problem

ASKED: TypeAdapter[Any] = TypeAdapter(FollowUp)
TRAINED = TrlSft.model_validate(
    {
        "kind": "trl_sft",
        "model_name_or_path": "acme/base",
        "dataset_name": "acme/chats",
        "dataset_config": "de",
        "args": {"assistant_only_loss": True, "learning_rate": 1e-4, "trust_remote_code": True},
        "eval": {"split": "held-out"},
    }
)


@pytest.mark.parametrize("kind", sorted(FOLLOW_UPS))
def test_each_script_is_a_recipe_with_the_packages_of_the_described_release(kind: str) -> None:
    source = files("service.follow_ups").joinpath(f"{kind}.py").read_text()
    found = header.parse(source)
    assert found is not None
    versions = release(DEFAULT_RELEASE).versions
    for requirement in found.dependencies:
        name, pinned, version = requirement.partition("==")
        assert (pinned, version) == (("", "") if name == "torch" else ("==", versions[name])), requirement
    kept = script_of(ASKED.validate_python({"kind": kind}), Model("acme/model"), TRAINED, {}, "acme/model")
    recipe = read(kept)
    assert isinstance(recipe, Script)
    assert (recipe.source, kept["header"]["requires_python"]) == (source, ">=3.11")


def test_an_evaluation_keeps_to_the_rows_and_the_loss_of_its_training() -> None:
    def args(**fields: Any) -> list[str]:
        asked = ASKED.validate_python({"kind": "evaluate", **fields})
        kept: list[str] = script_of(asked, Model("m"), TRAINED, {"dataset_revision": "c0"}, "m")["args"]
        return kept

    own = args()
    assert own[:3] == ["--model", "m", "--trust-remote-code"]
    place = {"--dataset": "acme/chats", "--dataset-config": "de", "--dataset-revision": "c0", "--split": "held-out"}
    assert own[3:11] == [item for pair in place.items() for item in pair]
    assert json.loads(own[-1]) == {"assistant_only_loss": True}
    other = args(dataset_name="acme/other", split="test[:5]", batch_size=2)
    assert other[3:] == ["--dataset", "acme/other", "--split", "test[:5]", "--batch-size", "2", "--settings", "{}"]


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"kind": "merge_lora", "prompts": []}, "there is no field 'prompts'"),
        ({"kind": "smoke_test", "prompt": ["a"]}, "there is no field 'prompt'"),
        ({"kind": "smoke_test", "prompts": []}, "at least 1"),
        ({"kind": "smoke_test", "prompts": [""]}, "at least 1"),
        ({"kind": "evaluate", "split": "train[5:5]"}, "has no rows"),
        ({"kind": "evaluate", "flavor": "auto"}, "'auto' is for trl_sft"),
        ({"kind": "smoke_test", "max_new_tokens": 5000}, "less than or equal"),
        ({"kind": "distill"}, "does not match"),
    ],
)
def test_what_is_no_follow_up_is_refused(fields: dict[str, Any], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        ASKED.validate_python(fields)


@pytest.mark.parametrize(
    ("tokens", "text", "is_wrong"),
    [
        ([], "", True),
        ([5, 6], " \n ", True),
        ([7] * 12, "ha" * 12, True),
        ([1, 2, 3, *[8, 9] * 4], "and so and so and so and so", True),
        ([1, 2, 3, *[8, 9] * 3], "and so and so and so", False),
        ([3, 3, 3], "no no no", False),
        ([*range(40), *[7] * 5], "a long answer that ends in dots .....", False),
        ([*range(20)] * 3, "a verse of twenty words, three times", False),
        ([4, 5, 6], "It is Paris.", False),
        ([1], "4", False),
    ],
)
def test_an_answer_is_garbage_where_half_of_it_is_the_same_again_and_again(
    tokens: list[int], text: str, is_wrong: bool
) -> None:
    assert (problem(tokens, text) is not None) is is_wrong


@pytest.mark.parametrize(
    ("lines", "result"),
    [
        (["hello", 'x TUNEGATE_RESULT {"rows": 3}', "bye"], {"rows": 3}),
        (['TUNEGATE_RESULT {"a": 1}', 'TUNEGATE_RESULT {"a": 2}'], {"a": 2}),
        (['TUNEGATE_RESULT {"a": NaN}'], None),
        (['TUNEGATE_RESULT {"a": "\\u0000"}'], None),
        (['TUNEGATE_RESULT {"a": '], None),
        (["TUNEGATE_RESULT [1]"], None),
        (["TUNEGATE_RESULT " + "[" * 100_000], None),
        ([], None),
    ],
)
def test_a_result_is_the_last_line_with_the_mark_and_json_behind_it(lines: list[str], result: object) -> None:
    assert read_result(lines) == result


def test_what_a_result_calls_failed_is_the_cause() -> None:
    found = failure_in("evaluate", {"failed": "evaluation: the loss on test is nan"})
    assert found is not None
    assert (found.cause, found.message, found.evidence) == (Reason.SCRIPT_ERROR, found.evidence, found.message)
    for kind, result in (("evaluate", {"failed": None}), ("evaluate", None), ("merge_lora", {"failed": "x"})):
        assert failure_in(kind, result) is None
