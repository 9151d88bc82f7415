"""Grids: every combination once, and each value where the recipe takes it."""

from __future__ import annotations

from typing import Any

import pytest

from service.domain.errors import BrokenRule
from service.domain.grid import first_twice, place_in, placed, points_of, unplaced

TRL = {"kind": "trl_sft", "args": {"learning_rate": 1e-5, "max_steps": 10}, "lora": {"alpha": 4}}


def test_every_combination_the_last_changing_first() -> None:
    assert points_of({"a": [1, 2], "b": ["x", "y"]}) == [
        {"a": 1, "b": "x"},
        {"a": 1, "b": "y"},
        {"a": 2, "b": "x"},
        {"a": 2, "b": "y"},
    ]
    with pytest.raises(BrokenRule, match="1000 points"):
        points_of({name: list(range(10)) for name in "abc"})


def test_points_that_are_the_same_are_found() -> None:
    assert first_twice([{"a": 1}, {"a": 2}]) is None
    assert first_twice([{"a": 1}, {"a": 2}, {"a": 1}]) == (1, 3)


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("learning_rate", "args.learning_rate"),
        ("lora.r", "lora.r"),
        ("lora_r", "lora.r"),
        ("eval_steps", "eval.steps"),
        ("model_revision", "model_revision"),
        ("packing", "packing"),
        ("lr", None),
        ("kind", None),
    ],
)
def test_where_an_argument_goes(name: str, place: str | None) -> None:
    assert place_in(TRL, name) == place
    assert place_in({"kind": "script"}, name) is None
    assert place_in({**TRL, "trl_version": "0.0.1"}, name) == place


def test_values_are_placed_beside_what_is_there() -> None:
    made = placed(TRL, {"args.learning_rate": 5e-5, "lora.r": 8, "eval.steps": 20})
    assert made == {
        "kind": "trl_sft",
        "args": {"learning_rate": 5e-5, "max_steps": 10},
        "lora": {"alpha": 4, "r": 8},
        "eval": {"steps": 20},
    }
    assert TRL["lora"] == {"alpha": 4}


@pytest.mark.parametrize(
    ("template", "name", "said"),
    [
        ({"recipe": TRL}, "learning_rate", None),
        ({"recipe": TRL}, "learning_rat", "Did you mean 'learning_rate'?"),
        ({"recipe": TRL, "labels": {"lr": "{{ lr }}"}}, "lr", None),
        ({"recipe": TRL}, "nothing_like_it", "It is no flag"),
        ({"recipe": {"kind": "script", "source": "{{lr}}"}}, "lr", "source is not filled in"),
        ({"recipe": {"kind": "script", "args": ["--lr", "{{lr}}"]}}, "lr", None),
        ({"recipe": 3}, "lr", "{{lr}}"),
    ],
)
def test_an_argument_that_nothing_takes_is_told_with_what_would(
    template: dict[str, Any], name: str, said: str | None
) -> None:
    told = unplaced(template, name)
    assert (told is None) == (said is None)
    assert said is None or (told is not None and said in told)
