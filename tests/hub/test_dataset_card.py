"""Configurations, splits and columns from a viewer's answer, a card, or the files alone."""

from __future__ import annotations

from typing import Any

import pytest

from service.domain.facts import Split
from service.hub.dataset_card import describe_dataset
from service.hub.downloads import Beginning
from service.hub.first_row import FirstRow, first_row

SHA = "a" * 40
FEATURES = [{"name": "messages", "list": []}, {"name": "source", "dtype": "string"}]


def info(*paths: str, **card: Any) -> dict[str, Any]:
    return {"siblings": [{"rfilename": path, "size": 10} for path in paths], "cardData": card}


def described(told: dict[str, Any], served: dict[str, Any] | None = None, lines: dict[str, str] | None = None) -> Any:
    def row_of(path: str) -> FirstRow | None:
        text = (lines or {}).get(path)
        return None if text is None else first_row(path, Beginning(text.encode(), is_whole=True))

    return describe_dataset("acme/rows", SHA, told, served, row_of)


def test_the_viewer_knows_best() -> None:
    served = {
        "dataset_info": {
            "en": {
                "features": {"text": {"dtype": "string"}},
                "splits": {"train": {"name": "train", "num_examples": 7, "num_bytes": 70}},
            }
        }
    }
    fact = described(info("train.jsonl"), served)
    assert fact.configs == {"en": {"train": Split(rows=7, size_bytes=70)}}
    assert (fact.columns, fact.default_config, fact.source) == ({"en": ["text"]}, "en", "the dataset viewer")


def test_a_card_as_push_to_hub_writes_it() -> None:
    one = {"features": FEATURES, "splits": [{"name": "train", "num_examples": 3, "num_bytes": 30}, {"name": "test"}]}
    fact = described(info("data/train-00000-of-00001.parquet", dataset_info=one))
    assert fact.configs == {"default": {"train": Split(rows=3, size_bytes=30), "test": Split()}}
    assert fact.columns == {"default": ["messages", "source"]}


def test_a_card_of_several_configurations_has_no_default() -> None:
    listed = [{"config_name": name, "features": FEATURES, "splits": [{"name": "train"}]} for name in ("a", "b")]
    fact = described(info(dataset_info=listed))
    assert set(fact.configs) == {"a", "b"}
    assert fact.default_config is None


@pytest.mark.parametrize(
    ("paths", "splits"),
    [
        (["data.jsonl"], {"train"}),
        (["train.jsonl", "test.jsonl"], {"train", "test"}),
        (["data/train-00000-of-00002.parquet", "data/validation-00000-of-00001.parquet"], {"train", "validation"}),
        (["dev.csv", "eval_set.csv", "training.csv"], {"train", "validation", "test"}),
        (["my-training-data/part1.txt"], {"train"}),
        (["contest.jsonl"], {"train"}),  # a keyword inside a word is none
    ],
)
def test_files_alone_tell_splits_by_their_names(paths: list[str], splits: set[str]) -> None:
    assert set(described(info(*paths, "README.md", ".gitattributes")).configs["default"]) == splits


def test_configurations_that_the_card_lays_out() -> None:
    card = [
        {"config_name": "en", "data_files": [{"split": "train", "path": "en/*.jsonl"}]},
        {"config_name": "de", "data_dir": "de"},
    ]
    fact = described(info("en/a.jsonl", "de/test.jsonl", configs=card), lines={"en/a.jsonl": '{"text": "x"}'})
    assert {name: set(one) for name, one in fact.configs.items()} == {"en": {"train"}, "de": {"test"}}
    assert fact.columns == {"en": ["text"]}
    assert fact.configs["en"]["train"].size_bytes == 10


def test_columns_from_a_first_line() -> None:
    assert described(info("a.csv"), lines={"a.csv": 'prompt,"completion"\na,b\n'}).columns == {
        "default": ["prompt", "completion"]
    }
    assert described(info("a.jsonl"), lines={"a.jsonl": "not json"}).columns == {}
    assert described(info("a.parquet")).columns == {}


def test_nothing_that_could_be_loaded_leaves_it_open() -> None:
    fact = described(info("README.md", "notes.pdf"))
    assert (fact.configs, fact.default_config) == ({}, None)


def config(name: str, path: object, **more: object) -> dict[str, Any]:
    return {"config_name": name, "data_files": [{"split": "train", "path": path}], **more}


def test_the_configuration_that_the_card_marks_is_the_default() -> None:
    told = info("a.jsonl", "b.jsonl", configs=[config("a", "a.jsonl"), config("b", "b.jsonl", default=True)])
    assert described(told).default_config == "b"


def test_what_the_card_describes_is_joined_with_what_its_files_say() -> None:
    one = {"config_name": "a", "features": FEATURES, "splits": [{"name": "train", "num_examples": 3}]}
    configs = [config("a", "a.jsonl"), config("b", "b.jsonl")]
    fact = described(
        info("a.jsonl", "b.jsonl", configs=configs, dataset_info=one), lines={"b.jsonl": '{"text": "x"}\n'}
    )
    assert set(fact.configs) == {"a", "b"}
    assert fact.configs["a"]["train"].rows == 3
    assert fact.columns == {"a": ["messages", "source"], "b": ["text"]}
    assert fact.source == "its card and its files"


@pytest.mark.parametrize(
    ("pattern", "is_there"),
    [
        ("data/train-*.jsonl", True),
        ("**/*.jsonl", True),
        ("**", True),
        ("./data/train-0.jsonl", True),
        ("data/train-[0-9].jsonl", True),
        ("hf://datasets/acme/other/a.jsonl", True),
        (["nope.jsonl", "data/*"], False),
        ("data", False),
        ("train-*.jsonl", False),
        ("README.md", False),
        ("**/" * 40 + "*a*a*a*a*a*a*a*a*a*a*a*a*b", False),
        (7, True),
        ({"a": 1}, True),
    ],
)
def test_a_card_that_names_files_which_are_not_there_says_so(pattern: object, is_there: bool) -> None:
    fact = described(info("data/train-0.jsonl", "README.md", configs=[config("default", pattern)]))
    assert ("default" not in fact.wrong_in) is is_there, fact.wrong_in


@pytest.mark.parametrize(
    ("paths", "wrong"),
    [
        ([], "no data files"),
        (["README.md", ".gitattributes"], "no data files"),
        (["rows.py", "README.md"], "a loading script, rows.py"),
        (["rows.py", "train.jsonl"], "a loading script"),
        (["a.png", "b.PNG"], "pictures or sound"),
        (["other.py"], "no data files"),
        (["train.jsonl"], ""),
        (["all.zip"], ""),
        (["task.toml"], ""),
    ],
)
def test_files_that_make_no_dataset(paths: list[str], wrong: str) -> None:
    fact = described(info(*paths))
    assert wrong in fact.wrong
    assert bool(fact.wrong) is bool(wrong)


def test_a_split_without_rows_is_known_by_its_size_and_by_its_card() -> None:
    told = info("train.jsonl", "test.jsonl")
    told["siblings"][1]["size"] = 0
    assert "test.jsonl is empty" in described(told).wrong_in["default"]["test"]
    card = {"splits": [{"name": "train", "num_examples": 0}]}
    assert described(info("train.jsonl", dataset_info=card)).wrong_in == {"default": {"train": "has no rows"}}


def test_one_file_of_many_that_is_broken_is_no_proof() -> None:
    fact = described(info("train-1.jsonl", "train-2.jsonl"), lines={"train-1.jsonl": "no json\n"})
    assert fact.wrong_in == {}
    assert described(info("train.jsonl"), lines={"train.jsonl": "no json\n"}).wrong_in != {}


@pytest.mark.parametrize(
    "card",
    [
        {"dataset_info": {"splits": 9}},
        {"dataset_info": {"features": 7, "splits": [{"name": "train"}]}},
        {"dataset_info": [7, None, {"config_name": 7}]},
        {"dataset_info": {"splits": {"a": 7}}},
        {"configs": {"a": 1}},
        {"configs": "a"},
        {"configs": [{"data_files": {"train": "a"}}, {"data_files": 7}, {"data_dir": 7}, {"config_name": ["x"]}]},
        {"configs": [{"data_files": [{"split": ["x"], "path": [7]}]}]},
    ],
)
def test_odd_cards_are_read_as_far_as_they_go(card: dict[str, Any]) -> None:
    fact = described(info("train.jsonl", **card), lines={"train.jsonl": '{"text": "a"}\n'})
    assert fact.is_found
