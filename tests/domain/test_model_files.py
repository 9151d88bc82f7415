"""A model is whole or it is not, and what is missing is named."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.domain import model_files
from service.domain.finding import Verdict
from service.domain.output import Check, Due, File, differ, due
from tests.published import INDEX, adapter, as_json, full, sharded

MiB = 2**20


def checks(wanted: Due, files: Mapping[str, bytes], sizes: Mapping[str, int | None] | None = None) -> list[Check]:
    listed = [File(name, {name: len(content), **(sizes or {})}[name]) for name, content in files.items()]
    read = {name: files[name] for name in model_files.documents(wanted, listed)}
    return model_files.judge(wanted, listed, read)


def failed(wanted: Due, files: Mapping[str, bytes]) -> str:
    """What is wrong, check by check."""
    return "; ".join(f"{one.check}: {one.message}" for one in checks(wanted, files) if one.verdict is Verdict.FAILED)


def without(files: Mapping[str, bytes], *names: str) -> dict[str, bytes]:
    return {name: content for name, content in files.items() if name not in names}


@pytest.mark.parametrize(
    ("wanted", "files", "names"),
    [
        (Due.MODEL, full(), ["weights", "config", "tokenizer"]),
        (Due.MODEL, sharded(b"a", b"b"), ["weights", "shards", "config", "tokenizer"]),
        (Due.ADAPTER, adapter(), ["weights", "config", "tokenizer"]),
        (Due.ANYTHING, full(), ["weights", "config"]),
        (Due.ANYTHING, adapter(), ["weights", "config"]),
        (Due.ANYTHING, sharded(b"a"), ["weights", "shards", "config"]),
        (Due.ANYTHING, {"numbers.npz": b"1"}, ["weights"]),
        (Due.ANYTHING, {"config.json": b"{}", "model.onnx": b"1"}, ["weights", "config"]),
        (Due.ANYTHING, {"tokenizer.json": b"{}"}, ["weights"]),
    ],
)
def test_what_is_published_whole_passes_every_check_that_is_due(
    wanted: Due, files: dict[str, bytes], names: list[str]
) -> None:
    found = checks(wanted, files)
    assert [one.check for one in found] == names
    assert {one.verdict for one in found} == {Verdict.PASSED}


@settings(max_examples=200)
@given(data=st.data(), count=st.integers(1, 12), wanted=st.sampled_from([Due.MODEL, Due.ANYTHING]))
def test_any_one_shard_removed_or_emptied_is_named(data: st.DataObject, count: int, wanted: Due) -> None:
    files = sharded(*(bytes(data.draw(st.integers(1, 5))) for _ in range(count)))
    assert failed(wanted, files) == ""
    name = data.draw(st.sampled_from([name for name in files if name.startswith("model-")]))
    if data.draw(st.booleans()):
        assert failed(wanted, without(files, name)) == f"shards: shard {name} is not there"
    else:
        assert failed(wanted, {**files, name: b""}) == f"shards: shard {name} is empty"


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"config.json": b"{}"}, "weights: there are no weights, only config.json"),
        ({"optimizer.pt": b"1", "README.md": b"1"}, "weights: there are no weights, only optimizer.pt"),
        (
            {"checkpoint-5/model.safetensors": b"1", "runs/a": b"1", "scheduler.pt": b"1", "train.log": b"1"},
            "weights: there are no weights, only checkpoint-5/model.safetensors, runs/a, scheduler.pt and 1 more",
        ),
        (without(adapter(), "adapter_config.json"), "config: adapter_config.json is not there"),
    ],
)
def test_what_a_training_writes_beside_a_model_is_none(files: dict[str, bytes], said: str) -> None:
    assert failed(Due.ANYTHING, files) == said


def test_of_many_shards_that_are_missing_the_first_are_named_and_the_rest_counted() -> None:
    files = sharded(*[b"x"] * 9)
    gone = without(files, *[name for name in files if name.startswith("model-")])
    assert failed(Due.MODEL, gone).endswith("shard model-00003-of-00009.safetensors is not there; and 6 more")


def test_shards_must_hold_as_much_as_their_index_says() -> None:
    assert failed(Due.MODEL, sharded(b"12", b"345", total_size=5.0)) == ""
    said = failed(Due.MODEL, sharded(b"12", b"345", total_size=6))
    assert said == f"shards: the 2 shards hold 5 bytes, {INDEX} says 6"
    plain = sharded(b"12")
    assert failed(Due.MODEL, {**plain, INDEX: as_json({"weight_map": {"w": "model-00001-of-00001.safetensors"}})}) == ""


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", f"{INDEX} is no JSON object"),
        (b"[]", f"{INDEX} is no JSON object"),
        (b"{}", f"{INDEX} names no shards"),
        (b'{"weight_map": {}}', f"{INDEX} names no shards"),
        (b'{"weight_map": ["a"]}', f"{INDEX} names no shards"),
        (b'{"weight_map": {"w": 7}}', f"{INDEX} names no shards"),
        (b'{"weight_map": {"w": "../config.json"}}', "shard ../config.json is not there"),
        (b"\xff\xfe\x00", f"{INDEX} is no JSON object"),
        (b"[" * 100_000, f"{INDEX} is no JSON object"),
    ],
)
def test_a_broken_index_is_named(content: bytes, said: str) -> None:
    assert failed(Due.ANYTHING, {**sharded(b"a"), INDEX: content}) == f"shards: {said}"


@pytest.mark.parametrize(
    ("wanted", "files", "said"),
    [
        (Due.MODEL, without(full(), "config.json"), "config: config.json is not there"),
        (Due.MODEL, {**full(), "config.json": b""}, "config: config.json is no JSON object"),
        (Due.MODEL, {**full(), "config.json": b'["a"]'}, "config: config.json is no JSON object"),
        (Due.MODEL, {**full(), "config.json": b"{}"}, "config: config.json names no model_type"),
        (Due.MODEL, {**full(), "config.json": b'{"model_type": 1}'}, "config: config.json names no model_type"),
        (Due.ANYTHING, {"w.bin": b"1", "config.json": b"{"}, "config: config.json is no JSON object"),
        (Due.ANYTHING, {**adapter(), "adapter_config.json": b"x"}, "config: adapter_config.json is no JSON object"),
        (Due.ADAPTER, without(adapter(), "adapter_config.json"), "config: adapter_config.json is not there"),
        (
            Due.ADAPTER,
            {**adapter(), "adapter_config.json": b'{"peft_type": "LORA"}'},
            "config: adapter_config.json names no base_model_name_or_path",
        ),
    ],
)
def test_a_configuration_must_be_there_and_be_read(wanted: Due, files: dict[str, bytes], said: str) -> None:
    assert failed(wanted, files) == said


@pytest.mark.parametrize(
    ("wanted", "files", "said"),
    [
        (Due.MODEL, without(full(), "model.safetensors"), "neither model.safetensors nor pytorch_model.bin, nor"),
        (Due.MODEL, full(b""), "model.safetensors is empty"),
        (Due.ANYTHING, full(b""), "model.safetensors is empty"),
        (Due.ADAPTER, full(), "neither adapter_model.safetensors nor adapter_model.bin"),
        (Due.MODEL, adapter(), "neither model.safetensors"),
        (Due.ANYTHING, {"README.md": b"#", ".gitattributes": b"*"}, "there are no files but README.md"),
        (Due.ANYTHING, {}, "there are no files but README.md"),
    ],
)
def test_there_must_be_weights(wanted: Due, files: dict[str, bytes], said: str) -> None:
    assert failed(wanted, files).startswith("weights: ")
    assert said in failed(wanted, files)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "there is no tokenizer: neither tokenizer.json nor another vocabulary"),
        ({"tokenizer_config.json": b"{}"}, "there is no tokenizer: neither tokenizer.json nor another vocabulary"),
        ({"tokenizer.json": b"{}"}, "tokenizer_config.json of the tokenizer is not there"),
        ({"tokenizer.model": b"", "tokenizer_config.json": b"{}"}, "tokenizer.model of the tokenizer is empty"),
        ({"vocab.json": b"{}", "merges.txt": b"a", "tokenizer_config.json": b"{}"}, None),
        ({"tekken.json": b"{}"}, None),
    ],
)
def test_trls_script_owes_a_tokenizer(files: dict[str, bytes], said: str | None) -> None:
    bare = without(full(), "tokenizer.json", "tokenizer_config.json")
    assert failed(Due.MODEL, {**bare, **files}) == ("" if said is None else f"tokenizer: {said}")
    assert failed(Due.ANYTHING, {**bare, **files}) == ""


def test_sizes_that_the_hub_does_not_tell_are_unknown_and_never_wrong() -> None:
    files = sharded(b"a", b"b")
    found = {one.check: one.verdict for one in checks(Due.MODEL, files, dict.fromkeys(files))}
    assert found == {
        "weights": Verdict.PASSED,
        "shards": Verdict.UNKNOWN,
        "config": Verdict.PASSED,
        "tokenizer": Verdict.PASSED,
    }


def test_a_document_of_no_sane_size_is_not_read() -> None:
    listed = [File("config.json", 9 * MiB), File("model.safetensors", 1)]
    assert model_files.documents(Due.MODEL, listed) == []
    found = {one.check: one.message for one in model_files.judge(Due.MODEL, listed, {})}
    assert found["config"] == "config.json is larger than is read (8 MiB)"


def test_what_is_due_follows_from_the_recipe() -> None:
    assert due({"kind": "trl_sft", "lora": None}) is Due.MODEL
    assert due({"kind": "trl_sft", "lora": {}}) is Due.ADAPTER
    assert due({"kind": "script", "lora": {}}) is Due.ANYTHING
    assert due({"kind": "adopted"}) is Due.ANYTHING


def test_another_card_is_no_other_model() -> None:
    before = [File("model.safetensors", 3, "a"), File("README.md", 1, "b")]
    assert not differ(before, [File("model.safetensors", 3, "a"), File("README.md", 9, "c")])
    assert not differ(before, before[:1])
    assert differ(before, [File("model.safetensors", 3, "z"), File("README.md", 1, "b")])
    assert differ(before, before[1:])
    assert differ(before, [*before, File("new.bin", 1, "d")])
