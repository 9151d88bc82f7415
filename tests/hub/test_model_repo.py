"""What a model's repository holds, whatever its owner put there."""

from __future__ import annotations

import json
from typing import Any

import pytest

from service.domain.facts import ModelFact
from service.hub.faults import HubRefused, HubUnavailable
from service.hub.model_repo import describe_model

WHOLE = {"config.json": b'{"model_type": "llama"}', "model.safetensors": b"", "tokenizer.json": b"{}"}


def described(files: dict[str, Any]) -> ModelFact:
    def read(name: str) -> bytes:
        content = files[name]
        if isinstance(content, Exception):
            raise content
        return content if isinstance(content, bytes) else json.dumps(content).encode()

    return describe_model("a" * 40, {}, list(files), read)


@pytest.mark.parametrize(
    ("content", "wrong", "unread"),
    [
        (b"{", "is no JSON", ""),
        (b"\xff\xfe\x00", "is no JSON", ""),
        (b"[1]", "holds a list, not an object", ""),
        (b"7", "holds a single value, not an object", ""),
        (b'{"a":' * 500 + b"1" + b"}" * 500, "", "nested too deeply"),
        (b"[" * 20_000, "", "nested too deeply"),
        (HubRefused("config.json is larger than is read here"), "", "larger than"),
    ],
)
def test_a_config_that_cannot_be_used_says_why(content: Any, wrong: str, unread: str) -> None:
    fact = described({**WHOLE, "config.json": content})
    assert fact.config is None
    assert (fact.config_wrong, unread in fact.config_unread) == (wrong, True)
    assert bool(fact.config_unread) is bool(unread)


def test_what_config_holds_can_be_stored_and_counted_with() -> None:
    odd = b'{"a": Infinity, "b": NaN, "c": ' + b"9" * 4000 + b', "te\\ud800xt": "nul\\u0000l"}'
    assert described({**WHOLE, "config.json": odd}).config == {
        "a": "inf",
        "b": "nan",
        "c": "a number of 4000 digits",
        "te\ufffdxt": "nul\ufffdl",
    }


@pytest.mark.parametrize(
    ("names", "has_weights", "has_tokenizer"),
    [
        (["model.safetensors", "tokenizer.json"], True, True),
        (["model-00001-of-00002.safetensors", "spiece.model"], True, True),
        (["pytorch_model.bin", "vocab.txt"], True, True),
        (["pytorch_model.bin", "qwen.tiktoken"], True, True),
        (["adapter_model.safetensors", "training_args.bin"], False, False),
        (["tf_model.h5", "merges.txt"], False, True),
        (["model.gguf", "tokenization_own.py"], False, True),
    ],
)
def test_weights_and_tokenizers_are_told_by_names(names: list[str], has_weights: bool, has_tokenizer: bool) -> None:
    fact = described({"config.json": {}} | dict.fromkeys(names, b"{}"))
    assert (fact.has_weights, fact.has_tokenizer) == (has_weights, has_tokenizer)


@pytest.mark.parametrize(
    ("tokenizer", "template"),
    [
        ({"chat_template": "{{ m }}"}, True),
        ({"chat_template": [{"name": "default", "template": "x"}]}, True),
        ({"chat_template": ""}, False),
        ({}, False),
        ({"chat_template": 7}, None),
        (b"[", None),
        (b"[" * 20_000, None),
    ],
)
def test_a_template_is_there_or_not_or_nobody_knows(tokenizer: Any, template: bool | None) -> None:
    assert described({**WHOLE, "tokenizer_config.json": tokenizer}).has_chat_template is template


def test_an_adapter_alone_says_whose_it_is() -> None:
    fact = described(
        {"adapter_config.json": {"base_model_name_or_path": "acme/base"}, "adapter_model.safetensors": b""}
    )
    assert (fact.adapter_of, fact.config) == ("acme/base", None)


@pytest.mark.parametrize("fault", [HubUnavailable("down"), HubRefused("gated", 403, code="GatedRepo")])
def test_what_is_said_of_all_files_is_said_of_the_model(fault: Exception) -> None:
    with pytest.raises(type(fault)):
        described({**WHOLE, "config.json": fault})
