"""Splits as `datasets` lets them be written: each answer here is that of datasets 5.2 over 20 and 5 rows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.errors import BrokenRule
from service.domain.estimate.duration import DatasetSize
from service.domain.facts import DatasetFact, Outcome, Split
from service.domain.foresight import foresee
from service.domain.part import is_part, parts_of, rows_of
from service.domain.trl_sft import TrlSft
from service.domain.wanted import wanted_of

ROWS = {"train": 20, "test": 5}


@pytest.mark.parametrize(
    ("split", "rows"),
    [
        ("train", 20),
        ("train[:10]", 10),
        ("train[:50%]", 10),
        ("train[:1000]", 20),
        ("train[-5:]", 5),
        ("train[-50:]", 20),
        ("train[5:10]", 5),
        ("train[:1_0]", 10),
        ("train[:1%]", 0),
        ("train[25:]", 0),
        ("train[:50%](pct1_dropremainder)", 0),
        ("train+test", 25),
        ("train[:10]+test[:2]", 12),
        ("all", 25),
        ("other", None),
        ("train+other", None),
    ],
)
def test_a_part_has_as_many_rows(split: str, rows: int | None) -> None:
    assert rows_of(split, ROWS) == rows


REFUSED = ("train ", " train", "train[", "train[foo]", "train[5]", "train[:10 ]", "test + train", "[:3]", "train[:_]")
EMPTY = ("", "+", "train[:0]", "train[10:5]", "train[5:5]")
IMPOSSIBLE = ("train[:101%]", "train[:10](closest)", "all[:3]", "all+train")


@pytest.mark.parametrize("split", [*REFUSED, *EMPTY, *IMPOSSIBLE])
def test_what_datasets_refuses_is_refused(split: str) -> None:
    with pytest.raises(BrokenRule) as caught:
        parts_of(split)
    assert caught.value.remedy.endswith(".")


@pytest.mark.parametrize(
    ("split", "size"),
    [
        ("train", DatasetSize(20, 2000)),
        ("train[:10]", DatasetSize(10, 1000)),
        ("train+test", DatasetSize(25, 2500)),
        ("all", DatasetSize(25, 2500)),
        ("nope", DatasetSize()),
    ],
)
def test_an_estimate_is_of_the_rows_that_are_asked_for(split: str, size: DatasetSize) -> None:
    recipe = TrlSft(kind="trl_sft", model_name_or_path="a/b", dataset_name="a/c", dataset_train_split=split)
    splits = {name: Split(rows=rows, size_bytes=100 * rows) for name, rows in ROWS.items()}
    fact = DatasetFact(outcome=Outcome.FOUND, configs={"default": splits}, default_config="default")
    assert foresee(recipe, None, fact, wanted_of(recipe).data, []).dataset == size


def test_only_more_than_a_name_needs_datasets_to_be_asked() -> None:
    assert [is_part(one) for one in ("train", "held.out", "all", "train[:5]", "a+b")] == [
        False,
        False,
        True,
        True,
        True,
    ]


@given(st.text(max_size=40) | st.from_regex(r"\w+(\[-?\d*%?:-?\d*%?\])?", fullmatch=True), st.integers(0, 10**9))
def test_any_text_is_a_part_or_refused(split: str, rows: int) -> None:
    try:
        parts = parts_of(split)
    except ValueError:
        return
    assert all(0 <= part.rows(rows) <= rows for part in parts)
