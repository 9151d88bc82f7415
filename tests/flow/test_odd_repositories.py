"""Whatever a repository's owner puts into it, a run that names it is checked to an end and can be shown."""

from __future__ import annotations

import json
from typing import Any

import httpx2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from service.domain.facts import DatasetFact, ModelFact
from service.domain.finding import Finding
from service.domain.foresight import foresee
from service.domain.preflight import check_inputs
from service.domain.recipe import Recipe
from service.domain.subject import Kind, Subject, fact_from_json
from service.domain.trl.preset import family_in
from service.domain.trl_sft import TrlSft
from service.domain.wanted import Wanted, wanted_of
from service.hub.client import HubClient
from tests.conftest import Clock

TEXT = st.text(st.characters() | st.sampled_from("\0\ud800\udfff"), max_size=8)
NUMBER = st.integers() | st.floats() | st.just(10**400) | st.sampled_from([0, -1, 2**63])
JSON = st.recursive(
    st.none() | st.booleans() | NUMBER | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
DEEP = st.sampled_from([b"[" * 50_000, b'{"a":' * 600 + b"1" + b"}" * 600, b"", b"\xff\xfe", b"NaN"])


def near(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Something with the names that are looked for, and anything in them; or anything at all."""
    known = st.fixed_dictionaries({}, optional={name: value | JSON for name, value in fields.items()})
    return known | st.builds(lambda one, other: {**one, **other}, st.dictionaries(TEXT, JSON, max_size=3), known) | JSON


TYPES = st.sampled_from(["llama", "gpt2", "bert", "own", "qwen3_moe", "gemma3_text"])
CLASSES = st.lists(st.sampled_from(["LlamaForCausalLM", "BertModel", "Own"]) | JSON, max_size=2)
CONFIG = near(
    model_type=TYPES,
    architectures=CLASSES,
    auto_map=JSON,
    quantization_config=near(quant_method=st.sampled_from(["gptq", "bitsandbytes"]), load_in_4bit=st.booleans()),
    **dict.fromkeys(("hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size", "n_positions"), NUMBER),
)
NAMES = st.sampled_from(["default", "en", "train", "test"])
SPLITS = st.lists(near(name=NAMES, num_examples=NUMBER, num_bytes=NUMBER), max_size=2)
FEATURES = st.lists(near(name=st.sampled_from(["text", "messages"]), dtype=st.just("int64")), max_size=2)
INFO = near(config_name=NAMES, splits=SPLITS, features=FEATURES)
PATH = st.sampled_from(["train.jsonl", "*", "**/x", "[", "data/{a,b}", "hf://x"]) | TEXT
LAID_OUT = near(config_name=NAMES, data_files=st.lists(near(split=NAMES, path=PATH), max_size=2), data_dir=PATH)
CARD = near(configs=st.lists(LAID_OUT | JSON, max_size=2), dataset_info=st.lists(INFO, max_size=2) | INFO)
FILE = st.sampled_from(["train.jsonl", "test.csv", "a.parquet", "a.txt", "rows.py", "a.jsonl.gz"]) | TEXT
SIBLINGS = st.lists(st.builds(dict, rfilename=FILE | JSON, size=NUMBER | st.none()) | JSON, max_size=4) | JSON
ROW = near(text=JSON, messages=st.lists(near(role=TEXT, content=TEXT), max_size=2), prompt=TEXT)
RECIPES = st.sampled_from(
    [
        {},
        {"lora": {"target_modules": ["q_proj", "x"], "modules_to_save": ["lm_head"]}},
        {"lora": {"target_modules": r".*\.(a|b)"}, "quantization": {}},
        {"dataset_train_split": "train[:10]+test", "eval": {}},
        {"dataset_config": "en", "args": {"max_length": 99, "dataset_text_field": "x"}},
        {"chat_template_path": "acme/model"},
    ]
)


def wanted(fields: dict[str, Any]) -> tuple[TrlSft, Wanted]:
    body = {"kind": "trl_sft", "model_name_or_path": "acme/model", "dataset_name": "acme/rows", **fields}
    recipe = TypeAdapter(Recipe).validate_python(body)
    assert isinstance(recipe, TrlSft)
    return recipe, wanted_of(recipe)


def dumped(value: Any) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value).encode()


def hub(answers: dict[str, Any]) -> HubClient:
    """A Hub with one model and one dataset."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        path = request.url.path
        kind = "dataset" if "/datasets/" in path else "model"
        if path.startswith("/api/"):
            return httpx2.Response(200, content=dumped(answers[kind]))
        name = "config.json" if path.endswith("/config.json") else "row" if kind == "dataset" else "tokenizer"
        return httpx2.Response(200, content=dumped(answers[name]))

    return HubClient("http://hub.test", "c", "j", clock=Clock(), transport=httpx2.MockTransport(answer))


def storable(value: Any) -> bool:
    """Whether both databases and an answer can hold it."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return "\\u0000" not in text and bool(text.encode())


def stored(kind: Kind, fact: ModelFact | DatasetFact) -> ModelFact | DatasetFact:
    kept = fact.model_dump(mode="json")
    assert storable(kept)
    again = fact_from_json(kind, kept)
    assert isinstance(again, ModelFact | DatasetFact)
    return again


def check(
    recipe: TrlSft, asked: Wanted, model: ModelFact | DatasetFact, data: ModelFact | DatasetFact
) -> list[Finding]:
    assert isinstance(model, ModelFact)
    assert isinstance(data, DatasetFact)
    subjects = {one: data if one.kind is Kind.DATASET else model for one in asked.subjects()}
    foresee(recipe, model, data, asked.data, [])
    family_in(model.config)
    return check_inputs(asked, subjects)


@settings(max_examples=300, suppress_health_check=list(HealthCheck))
@given(config=CONFIG | DEEP, tokenizer=near(chat_template=JSON) | DEEP, card=CARD, siblings=SIBLINGS, row=ROW | DEEP,
       parameters=JSON, fields=RECIPES)  # fmt: skip
def test_any_content_is_judged(
    config: Any, tokenizer: Any, card: Any, siblings: Any, row: Any, parameters: Any, fields: dict[str, Any]
) -> None:
    files = [{"rfilename": name} for name in ("config.json", "tokenizer_config.json", "model.safetensors")]
    answers = {
        "model": {"sha": "a" * 40, "siblings": files, "safetensors": {"parameters": parameters}},
        "dataset": {"sha": "b" * 40, "siblings": siblings, "cardData": card},
        "config.json": config,
        "tokenizer": tokenizer,
        "row": row,
    }
    client = hub(answers)
    model = stored(Kind.MODEL, client.lookup.model("acme/model", "main"))
    data = stored(Kind.DATASET, client.lookup.dataset("acme/rows", "main"))
    client.close()
    findings = check(*wanted(fields), model, data)
    assert findings
    for one in findings:
        assert storable(one.as_json())
        assert one.as_json()["outcome"] != "failed" or (one.field and one.remedy and one.reason)


@settings(max_examples=100)
@given(answer=JSON | DEEP)
def test_any_answer_is_a_fact(answer: Any) -> None:
    everything = dict.fromkeys(("model", "dataset", "config.json", "tokenizer", "row"), answer)
    client = hub(everything)
    facts = client.lookup.model("acme/model", "main"), client.lookup.dataset("acme/rows", "main")
    mount = client.lookup.mount("dataset", "acme/rows", "main", "a")
    client.close()
    for subject, fact in zip((Kind.MODEL, Kind.DATASET, Kind.MOUNT), (*facts, mount), strict=True):
        assert storable(fact.model_dump(mode="json")), Subject(subject)
