"""Inputs that can never work fail a run by name, field and remedy; unusual ones that work pass."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest

from service.flow import admit, preflight
from tests.flow.conftest import World
from tests.flow.shelves import CONFIG, MODEL, checks, dataset, failed, model, run

ROW = '{"text": "a"}\n'


def publish(world: World, kind: str, repo: str, **files: bytes) -> None:
    content = {name.replace("__", "."): data for name, data in files.items()}
    world.core.hub.publish(kind, repo, content, world.clock.now)


def card(world: World, text: str, **files: str) -> None:
    """A dataset with a card."""
    dataset(world, "acme/carded", README__md=f"---\n{text}\n---\n", **files)


@pytest.mark.parametrize(
    ("recipe", "check", "field"),
    [
        ({"model_name_or_path": "acme/bert"}, "architecture", "recipe.model_name_or_path"),
        ({"lora": {"target_modules": ["c_attn"]}}, "lora_targets", "recipe.lora.target_modules"),
        ({"model_name_or_path": "acme/adapter"}, "model", "recipe.model_name_or_path"),
        ({"dataset_name": "acme/empty"}, "dataset_files", "recipe.dataset_name"),
        ({"dataset_name": "acme/blank"}, "dataset_files", "recipe.dataset_name"),
        ({"dataset_name": "acme/numbers"}, "dataset_files", "recipe.dataset_name"),
        ({"dataset_name": "acme/nothing"}, "dataset", "recipe.dataset_name"),
        ({"dataset_name": "acme/script"}, "dataset", "recipe.dataset_name"),
        ({"dataset_name": "acme/counts"}, "dataset_columns", "recipe.dataset_name"),
        ({"dataset_train_split": "train[9:]"}, "dataset_splits", "recipe.dataset_train_split"),
        ({"chat_template_path": "acme/none"}, "chat_template", "recipe.chat_template_path"),
        ({"chat_template_path": "acme/bert"}, "chat_template", "recipe.chat_template_path"),
    ],
)
def test_what_can_never_work_fails_before_money_is_held(
    world: World, recipe: dict[str, Any], check: str, field: str
) -> None:
    model(world)
    dataset(world)
    bert = {"config.json": {"model_type": "bert", "architectures": ["BertForMaskedLM"]}, "vocab.txt": ""}
    files = {name: json.dumps(value).encode() for name, value in bert.items()}
    world.core.hub.publish("model", "acme/bert", {**files, "model.safetensors": b""}, world.clock.now)
    adapter = json.dumps({"base_model_name_or_path": MODEL}).encode()
    publish(world, "model", "acme/adapter", adapter_config__json=adapter)
    for name, text in {"empty": "", "blank": "\n\n", "numbers": "1\n2\n", "counts": '{"text": 7}\n'}.items():
        dataset(world, f"acme/{name}", train__jsonl=text)
    dataset(world, "acme/nothing", README__md="nothing")
    dataset(world, "acme/script", script__py="x = 1", train__jsonl=ROW)
    found = failed(world, run(world, **recipe))
    assert (found["check"], found["field"]) == (check, field)
    assert admit.run_once(world.gate) == 0


@pytest.mark.parametrize(
    ("recipe", "hint"),
    [
        ({"model_name_or_path": "acme/chats"}, "acme/chats is a dataset."),
        ({"model_name_or_path": "acme/demo"}, "acme/demo is a Space."),
        ({"model_name_or_path": "acme/tyni"}, "Did you mean 'acme/tiny'?"),
        ({"model_name_or_path": "Acme/Tiny"}, "Did you mean 'acme/tiny'?"),
        ({"model_name_or_path": "tiny"}, "Did you mean 'acme/tiny'?"),
        ({"dataset_name": "acme/tiny"}, "acme/tiny is a model."),
        ({"dataset_name": "trl-lib/Capibara"}, "Did you mean 'trl-lib/Capybara'?"),
        ({"model_name_or_path": "nobody/nothing"}, "Check the name"),
    ],
)
def test_what_is_missing_says_what_may_have_been_meant(world: World, recipe: dict[str, Any], hint: str) -> None:
    model(world)
    dataset(world)
    publish(world, "space", "acme/demo", app__py=b"")
    assert hint in failed(world, run(world, **recipe))["remedy"]


def test_a_template_comes_from_a_repository_or_from_what_is_mounted(world: World) -> None:
    model(world, template=False)
    dataset(world)
    publish(world, "model", "acme/holder", tokenizer_config__json=b'{"chat_template": "x"}', tokenizer__json=b"{}")
    publish(world, "dataset", "acme/files", t__jinja=b"x")
    mounted = [{"type": "dataset", "source": "acme/files", "mount_path": "/data"}]

    def template(path: str, **more: Any) -> str:
        run_id = run(world, volumes=mounted, chat_template_path=path, **more)
        return checks(world, run_id)["chat_template"]

    holder = run(world, volumes=mounted, chat_template_path="acme/holder")
    assert checks(world, holder)["chat_template"] == "passed"
    pins = {"exclude_newer", "model_revision", "dataset_revision", "chat_template", "volume:/data"}
    assert set(world.show(holder)["pins"]) == pins
    assert template("/data/t.jinja") == "passed"
    assert template("/data/other.jinja") == "failed"
    world.core.hub.buckets.add("acme/ckpt", world.clock.now)
    bucket = [{"type": "bucket", "source": "acme/ckpt", "mount_path": "/data"}]
    run_id = run(world, volumes=bucket, chat_template_path="/data/t.jinja")
    assert checks(world, run_id)["chat_template"] == "unknown"


@pytest.mark.parametrize(
    ("volume", "field", "told"),
    [
        ({"source": "acme/none"}, "volumes.0.source", "there is no dataset acme/none"),
        ({"source": "acme/tiny"}, "volumes.0.source", "there is no dataset acme/tiny"),
        ({"source": "acme/chats", "revision": "v9"}, "volumes.0.revision", "has no revision 'v9'"),
        ({"source": "acme/chats", "path": "sub"}, "volumes.0.path", "has no folder 'sub'"),
        ({"source": "broke/hidden"}, "volumes.0.source", "there is no dataset broke/hidden"),
        ({"source": "broke/gated"}, "volumes.0.source", "is gated"),
    ],
)
def test_a_script_does_not_start_without_what_it_mounts(
    world: World, volume: dict[str, str], field: str, told: str
) -> None:
    model(world)
    dataset(world)
    for name in ("hidden", "gated"):
        publish(world, "dataset", f"broke/{name}", a__txt=b"a")
    world.core.hub.gate("broke/gated", "dataset")
    world.core.hub.repo("dataset", "broke/hidden").private = True
    run_id = world.enqueue(volumes=[{"type": "dataset", "mount_path": "/data", **volume}])
    found = failed(world, run_id)
    assert (found["check"], found["field"]) == ("volumes", field)
    assert told in found["message"]


def test_what_is_mounted_and_there_passes_a_missing_bucket_fails(world: World) -> None:
    publish(world, "dataset", "acme/files", **{"sub/a__txt": b"a"})
    there = [{"type": "dataset", "source": "acme/files", "mount_path": "/data", "path": "sub"}]
    assert checks(world, world.enqueue(volumes=there))["volumes"] == "passed"
    bucket = [{"type": "bucket", "source": "acme/ckpt", "mount_path": "/data"}]
    found = failed(world, world.enqueue(volumes=bucket))
    assert (found["field"], "there is no bucket acme/ckpt" in found["message"]) == ("volumes.0.source", True)
    world.core.hub.buckets.add("acme/ckpt", world.clock.now)
    world.clock.turn(minutes=30)
    run_id = world.enqueue(volumes=bucket)
    assert checks(world, run_id)["volumes"] == "passed"
    assert world.run(run_id).checked_at is not None


GOOD_CARDS = {
    "a default": (
        "configs:\n- config_name: a\n  default: true\n  data_files: train.jsonl\n"
        "- config_name: b\n  data_files: b.jsonl",
        {"train__jsonl": ROW, "b__jsonl": ROW},
        {},
    ),
    "part of it described": (
        "configs:\n- config_name: a\n  data_files: train.jsonl\n- config_name: b\n  data_files: b.jsonl\n"
        "dataset_info:\n- config_name: a\n  features:\n  - name: text\n    dtype: string\n"
        "  splits:\n  - name: train\n    num_examples: 5",
        {"train__jsonl": ROW, "b__jsonl": ROW},
        {"dataset_config": "b"},
    ),
    "a glob": ('configs:\n- config_name: default\n  data_files: "**/*.jsonl"', {"train__jsonl": ROW}, {}),
    "no splits described": (
        "dataset_info:\n  features:\n  - name: text\n    dtype: string",
        {"train__jsonl": ROW},
        {},
    ),
    "a list of rows": ("license: mit", {"train__json": '[{"text": "a"}]'}, {}),
    "text": ("license: mit", {"corpus__txt": "a\nb\n"}, {}),
    "a part": ("license: mit", {"train__jsonl": ROW * 20}, {"dataset_train_split": "train[:10]"}),
    "all": ("license: mit", {"train__jsonl": ROW, "test__jsonl": ROW}, {"dataset_train_split": "all"}),
}


@pytest.mark.parametrize("name", GOOD_CARDS)
def test_datasets_that_are_unusual_and_good(world: World, name: str) -> None:
    model(world, template=False)
    text, files, recipe = GOOD_CARDS[name]
    card(world, text, **files)
    run_id = run(world, dataset_name="acme/carded", **recipe)
    assert world.show(run_id)["preflight"]["outcome"] == "passed", world.show(run_id)["preflight"]


@pytest.mark.parametrize(
    ("text", "check"),
    [
        ("configs:\n- config_name: default\n  data_files: nope.jsonl", "dataset_files"),
        ("dataset_info:\n  splits:\n  - name: train\n    num_examples: 0", "dataset_files"),
    ],
)
def test_cards_that_promise_what_is_not_there(world: World, text: str, check: str) -> None:
    model(world, template=False)
    card(world, text, train__jsonl=ROW)
    assert failed(world, run(world, dataset_name="acme/carded"))["check"] == check


@pytest.mark.parametrize(
    "text",
    [
        "dataset_info:\n  splits: 9",
        "dataset_info:\n  features: 7\n  splits:\n  - name: train",
        "configs:\n- config_name: default\n  data_files:\n  - split: train\n    path: 7",
        "configs:\n- config_name: 2020-01-01\n  data_files: train.jsonl",
        "deep: " + "[" * 60 + "]" * 60,
        "deep: " + "{a: " * 300 + "1" + "}" * 300,
        "a: &a [x, x, x, x, x, x, x, x, x]\n"
        + "".join(f"{b}: &{b} [" + ", ".join([f"*{a}"] * 9) + "]\n" for a, b in zip("abcdefg", "bcdefgh", strict=True)),
        'license: "\\ud800"',
        "configs: !!python/object:os.system x",
    ],
)
def test_odd_cards_leave_a_check_open_and_nothing_broken(world: World, text: str) -> None:
    model(world, template=False)
    card(world, text, train__jsonl=ROW)
    run_id = run(world, dataset_name="acme/carded")
    assert world.show(run_id)["state"] == "queued"
    assert world.run(run_id).checked_at is not None, world.show(run_id)["message"]


@pytest.mark.parametrize(
    ("files", "check"),
    [
        ({"config.json": b'{"a":' * 500 + b"1" + b"}" * 500}, "model"),
        ({"tokenizer_config.json": b"[" * 20_000}, "chat_template"),
    ],
)
def test_odd_files_of_a_model_leave_a_check_open(world: World, files: dict[str, bytes], check: str) -> None:
    model(world)
    dataset(world)
    world.core.hub.publish("model", MODEL, files, world.clock.now)
    run_id = run(world)
    assert checks(world, run_id)[check] == "unknown"
    assert world.run(run_id).checked_at is not None


def test_a_column_that_nothing_can_store_is_shown_all_the_same(world: World) -> None:
    model(world, template=False)
    dataset(world, "acme/odd", train__jsonl='{"te\\ud800xt": "a", "nul\\u0000": 1, "text": "b"}\n')
    run_id = run(world, dataset_name="acme/odd")
    assert json.dumps(world.show(run_id), ensure_ascii=False).encode()
    assert world.show(run_id)["preflight"]["outcome"] == "passed"


def test_what_nobody_foresaw_in_an_answer_is_unknown_and_the_run_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    model(world)
    dataset(world)

    def breaks(*_: object) -> None:
        raise OverflowError

    monkeypatch.setattr(type(world.gate.hub.lookup), "model", breaks)
    run_id = run(world)
    assert "could not read what the Hub said (OverflowError)" in world.show(run_id)["message"]
    for _ in range(50):
        world.clock.turn(seconds=15)
        preflight.run_once(world.gate)
    assert world.show(run_id)["preflight"]["outcome"] == "unknown"
    assert admit.run_once(world.gate) == 1


@pytest.mark.parametrize("flavor", ["t4-small", "auto"])
def test_a_check_that_breaks_is_shown_and_ends(world: World, monkeypatch: pytest.MonkeyPatch, flavor: str) -> None:
    model(world)
    dataset(world)

    def breaks(*_: object) -> None:
        raise RecursionError

    monkeypatch.setattr("service.flow.preflight.settle_run", breaks)
    recipe = {"kind": "trl_sft", "model_name_or_path": MODEL, "dataset_name": "acme/chats"}
    run_id = world.enqueue(recipe=recipe, flavor=flavor, output_repo="acme/model")
    shown = world.show(run_id)
    assert (shown["state"], shown["reason"]) == ("queued", "checking")
    assert "could not check this run (RecursionError)" in shown["message"]
    for _ in range(50):
        world.clock.turn(seconds=15)
        preflight.run_once(world.gate)
    if flavor == "auto":
        assert world.show(run_id)["failure"]["cause"] == "does_not_fit"
    else:
        assert world.show(run_id)["preflight"]["outcome"] == "unknown"
        assert world.show(run_id)["pins"]["model_revision"]
        assert admit.run_once(world.gate) == 1


def test_files_are_asked_for_by_names_that_are_escaped_and_few_calls_are_made(world: World) -> None:
    model(world, template=False)
    dataset(world, "acme/odd", **{"train#1?%41__jsonl": ROW})
    assert world.show(run(world, dataset_name="acme/odd"))["preflight"]["outcome"] == "passed"
    configs = "configs:\n" + "".join(f"- config_name: c{n}\n  data_files: f{n}.jsonl\n" for n in range(60))
    card(world, configs, **{f"f{n}__jsonl": ROW for n in range(60)})
    asked = len(world.wire.seen)
    run(world, dataset_name="acme/carded", dataset_config="c1")
    assert len(world.wire.seen) - asked < 20


def test_a_file_that_is_not_given_out_just_now_is_asked_for_again(world: World) -> None:
    model(world)
    dataset(world)
    world.wire.cut_before = lambda request: httpx2.ConnectError("down") if request.url.path.endswith(".jsonl") else None
    run_id = run(world)
    assert world.show(run_id)["reason"] == "checking"
    world.wire.cut_before = lambda _request: None
    world.clock.turn(seconds=16)
    preflight.run_once(world.gate)
    assert world.show(run_id)["preflight"]["outcome"] == "passed"


def test_a_model_of_its_own_code_passes_where_that_is_trusted(world: World) -> None:
    own = {
        "model_type": "own",
        "architectures": ["Own"],
        "auto_map": {"AutoConfig": "c.C", "AutoModelForCausalLM": "m"},
    }
    model(world, **{"config.json": CONFIG | own})
    dataset(world)
    assert failed(world, run(world))["field"] == "recipe.args.trust_remote_code"
    trusted = run(world, args={"trust_remote_code": True})
    assert world.show(trusted)["state"] == "queued"
