"""What TRL needs of a dataset: files that can be loaded, splits that are there, rows that it understands."""

from __future__ import annotations

from typing import Any

import pytest

from service.domain.check_dataset import check_dataset, check_pictures
from service.domain.facts import DatasetFact, Outcome, Shape, Split
from service.domain.finding import Finding, Verdict
from service.domain.wanted import Wanted, WantedData


def fact(columns: dict[str, Shape] | None = None, **changes: Any) -> DatasetFact:
    shapes = {"messages": Shape.CHAT} if columns is None else columns
    told = {
        "sha": "a" * 40,
        "configs": {"default": {"train": Split(rows=20), "test": Split(rows=5)}},
        "columns": {"default": list(shapes)},
        "shapes": {"default": shapes},
        "default_config": "default",
        **changes,
    }
    return DatasetFact(outcome=Outcome.FOUND, **told)


def checked(found: DatasetFact, split: str = "train", **data: Any) -> Finding:
    """The finding that is not passed, or the last."""
    wanted = WantedData("acme/rows", "main", data.pop("config", None), {"dataset_train_split": split}, **data)
    findings = check_dataset(Wanted(data=wanted), found)
    return next((one for one in findings if one.verdict is not Verdict.PASSED), findings[-1])


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"text": Shape.NUMBER}, "a number in 'text', where TRL needs a text"),
        ({"text": Shape.NULL}, "null in 'text'"),
        ({"text": Shape.LIST}, "a list in 'text'"),
        ({"messages": Shape.TEXT}, "a text in 'messages', where TRL needs messages with 'role'"),
        ({"messages": Shape.EMPTY}, "an empty list in 'messages'"),
        ({"messages": Shape.TURNS}, "messages with 'from' and 'value' in 'messages'"),
        ({"conversations": Shape.CHAT}, "messages with a role in 'conversations'"),
        ({"prompt": Shape.TEXT, "completion": Shape.NUMBER}, "a number in 'completion'"),
        ({"prompt": Shape.NULL, "completion": Shape.TEXT}, "null in 'prompt'"),
    ],
)
def test_rows_that_trl_does_not_understand(columns: dict[str, Shape], message: str) -> None:
    found = checked(fact(columns))
    assert (found.check, found.verdict, found.field) == ("dataset_columns", Verdict.FAILED, "recipe.dataset_name")
    assert message in found.message


def test_a_loss_on_the_assistant_alone_needs_chats() -> None:
    for columns in ({"text": Shape.TEXT}, {"prompt": Shape.TEXT, "completion": Shape.TEXT}):
        found = checked(fact(columns), needs_chat=True)
        assert (found.verdict, found.field) == (Verdict.FAILED, "recipe.args.assistant_only_loss")
    for columns in ({"messages": Shape.CHAT}, {"conversations": Shape.TURNS}, {"prompt": Shape.CHAT}):
        assert checked(fact({**columns, "text": Shape.TEXT}), needs_chat=True).verdict is Verdict.PASSED


@pytest.mark.parametrize(
    "columns",
    [
        {"messages": Shape.CHAT},
        {"conversations": Shape.TURNS},
        {"text": Shape.TEXT},
        {"messages": Shape.TEXT, "text": Shape.TEXT},
        {"prompt": Shape.TEXT, "completion": Shape.TEXT},
        {"prompt": Shape.CHAT, "completion": Shape.CHAT},
        {"input_ids": Shape.LIST, "text": Shape.NUMBER},
        {"messages": Shape.CHAT, "text": Shape.NULL},
    ],
)
def test_rows_that_trl_understands(columns: dict[str, Shape]) -> None:
    assert checked(fact(columns)).verdict is Verdict.PASSED


@pytest.mark.parametrize("column", ["messages", "conversations", "text"])
def test_what_is_not_known_of_the_first_row_is_not_refused(column: str) -> None:
    known = fact().model_copy(update={"columns": {"default": [column]}, "shapes": {}})
    assert checked(known).verdict is Verdict.PASSED


def test_rows_that_trl_takes_as_they_are_are_nobodys_business() -> None:
    assert checked(fact({"ids": Shape.LIST}), is_prepared=True).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("split", "message", "remedy"),
    [
        ("trian", "no split 'trian': there are test, train", "Did you mean 'train'?"),
        ("train ", "neither a split's name", "Send 'train'."),
        ("train[foo]", "neither a split's name", "Write it as train, train[:1000]"),
        ("trian[:5]", "no split 'trian'", "Did you mean 'train'?"),
        ("train[:0]", "has no rows", "such as train[:10]"),
        ("train[30:]", "'train[30:]' has no rows: 'test' has 5, 'train' has 20", "that has rows, such as train[:20]."),
        ("all+train", "cannot be added to", "Write 'all' alone"),
        ("x + y", "neither a split's name", "Send 'x+y'."),
    ],
)
def test_splits_that_are_not_there(split: str, message: str, remedy: str) -> None:
    found = checked(fact(), split)
    assert (found.check, found.field) == ("dataset_splits", "recipe.dataset_train_split")
    assert message in found.message
    assert remedy in str(found.remedy)


def test_a_split_of_any_name_is_one_that_is_there() -> None:
    odd = fact(configs={"default": {"../x": Split(rows=3)}})
    assert checked(odd, "../x").verdict is Verdict.PASSED


@pytest.mark.parametrize("split", ["train", "train[:10]", "train[:50%]", "train+test", "all", "train[:1000]"])
def test_splits_and_parts_that_are_there(split: str) -> None:
    assert checked(fact(), split).verdict is Verdict.PASSED


def test_rows_that_fill_no_batch_where_only_full_ones_count() -> None:
    found = checked(fact(), least_rows=64)
    assert (found.check, found.field) == ("dataset_rows", "recipe.args.dataloader_drop_last")
    assert checked(fact(), "train[:5]", least_rows=8).check == "dataset_rows"
    assert checked(fact(), least_rows=20).verdict is Verdict.PASSED
    unknown_size = fact(configs={"default": {"train": Split()}})
    assert checked(unknown_size, least_rows=64).verdict is Verdict.PASSED


def test_a_stream_has_no_parts() -> None:
    assert "streamed" in checked(fact(), "train[:5]", is_streamed=True).message
    assert checked(fact(), "train", is_streamed=True).verdict is Verdict.PASSED


def test_one_split_that_cannot_be_loaded_is_the_end_of_all() -> None:
    found = checked(fact(wrong_in={"default": {"test": "has no rows: test.jsonl is empty"}}))
    assert (found.check, found.verdict) == ("dataset_files", Verdict.FAILED)
    assert "the split 'test' of acme/rows has no rows: test.jsonl is empty" in found.message
    assert checked(fact(wrong_in={"other": {"": "cannot be loaded"}})).verdict is Verdict.PASSED


def test_what_is_missing_says_what_may_have_been_meant() -> None:
    missing = DatasetFact(outcome=Outcome.MISSING, hint="acme/rows is a model.")
    assert "goes into recipe.model_name_or_path" in str(checked(missing).remedy)
    revision = DatasetFact(outcome=Outcome.MISSING, revision_missing=True)
    assert checked(revision).field == "recipe.dataset_revision"
    gated = DatasetFact(outcome=Outcome.GATED, message="ask")
    assert "is gated" in checked(gated).message


def test_pictures_are_for_models_that_see() -> None:
    found = check_pictures(["messages", "images"], "llama", {"llama": 1})
    assert found is not None
    assert found.verdict is Verdict.FAILED
    assert check_pictures(["messages", "images"], "qwen2_vl", {"llama": 1}) is None
    assert check_pictures(None, "llama", {"llama": 1}) is None
