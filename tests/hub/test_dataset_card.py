"""Configurations, splits and columns from a viewer's answer, a card, or the files alone."""

from __future__ import annotations

from typing import Any

import pytest

from service.domain.facts import Split
from service.hub.dataset_card import describe_dataset

SHA = "a" * 40
FEATURES = [{"name": "messages", "list": []}, {"name": "source", "dtype": "string"}]


def info(*paths: str, **card: Any) -> dict[str, Any]:
    return {"siblings": [{"rfilename": path, "size": 10} for path in paths], "cardData": card}


def described(told: dict[str, Any], served: dict[str, Any] | None = None, lines: dict[str, str] | None = None) -> Any:
    return describe_dataset(SHA, told, served, lambda path: (lines or {}).get(path))


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
    assert described(info("a.csv"), lines={"a.csv": 'prompt,"completion"'}).columns == {
        "default": ["prompt", "completion"]
    }
    assert described(info("a.jsonl"), lines={"a.jsonl": "not json"}).columns == {}
    assert described(info("a.parquet")).columns == {}


def test_nothing_that_could_be_loaded_leaves_it_open() -> None:
    fact = described(info("README.md", "notes.pdf"))
    assert (fact.configs, fact.default_config) == ({}, None)
