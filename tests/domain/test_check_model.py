"""Which models can be trained, and in which way: what is refused is certain, what is unusual passes."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter

from service.domain.check_architecture import check_architecture
from service.domain.check_lora import check_lora
from service.domain.check_model import check_model
from service.domain.diagnosis import Retry
from service.domain.facts import ModelFact, Outcome
from service.domain.finding import Finding, Verdict
from service.domain.recipe import Recipe
from service.domain.run import Reason
from service.domain.wanted import Wanted, wanted_of

LLAMA: dict[str, Any] = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 64}
GPT2: dict[str, Any] = {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "n_positions": 1024}
OWN_CODE: dict[str, Any] = {
    "model_type": "own",
    "architectures": ["OwnForCausalLM"],
    "auto_map": {"AutoConfig": "configuration_own.OwnConfig", "AutoModelForCausalLM": "modeling_own.OwnForCausalLM"},
}
TRUSTED = {"args": {"trust_remote_code": True}}


def wanted(**recipe: Any) -> Wanted:
    body = {"kind": "trl_sft", "model_name_or_path": "acme/model", "dataset_name": "acme/rows", **recipe}
    return wanted_of(TypeAdapter(Recipe).validate_python(body))


def architecture(config: dict[str, Any], **recipe: Any) -> Finding:
    *_, last = check_architecture(wanted(**recipe), config)
    return last


def lora(config: dict[str, Any], **fields: Any) -> Finding | None:
    found = check_lora(wanted(lora=fields), config)
    return found[0] if found else None


def test_a_gated_model_waits_for_a_person_as_where_a_jobs_log_says_so() -> None:
    failure = check_model(wanted(), ModelFact(outcome=Outcome.GATED, message="ask")).as_failure()
    assert (failure.cause, failure.retry) == (Reason.GATED_MODEL, Retry.NEVER)
    short = Finding("timeout", Verdict.FAILED, "too short", Reason.PREFLIGHT_FAILED, "timeout", "Set it higher.")
    assert short.as_failure().retry is Retry.CHANGED


@pytest.mark.parametrize(
    ("config", "recipe", "message", "field"),
    [
        ({"model_type": "bert", "architectures": ["BertForMaskedLM"]}, {}, "no language model", "model_name_or_path"),
        ({"model_type": "llama", "architectures": ["LlamaForSequenceClassification"]}, {}, "no language", "model_name"),
        ({"model_type": "qwen3", "architectures": ["Qwen3Model"]}, {}, "no language model", "model_name_or_path"),
        (
            {"model_type": "vit", "architectures": ["ViTForImageClassification"]},
            {},
            "no language",
            "model_name_or_path",
        ),
        ({"model_type": "whisper", "architectures": ["WhisperForConditionalGeneration"]}, {}, "no language", "model_n"),
        ({"model_type": "t5", "architectures": ["T5ForConditionalGeneration"]}, {}, "no language model", "model_name"),
        ({"model_type": "smollm9", "architectures": ["X"]}, {}, "does not know the model type 'smollm9'", "model_name"),
        ({"architectures": ["LlamaForCausalLM"]}, {}, "no 'model_type'", "model_name_or_path"),
        ({"model_type": 7}, {}, "does not know the model type '7'", "model_name_or_path"),
        ({"model_type": "llama"}, {}, "names no class in 'architectures'", "model_name_or_path"),
        ({"model_type": "llama", "architectures": []}, {}, "names no class in 'architectures'", "model_name_or_path"),
        ({"model_type": "bert", "architectures": ["Nope"]}, {"trl_version": "0.29.1"}, "the class Nope", "model_name"),
        (
            {"model_type": "llama", "architectures": ["LLaMAForCausalLM"]},
            {},
            "the class LLaMAForCausalLM",
            "model_name",
        ),
        (OWN_CODE, {}, "only run where that is allowed", "recipe.args.trust_remote_code"),
        (OWN_CODE, {**TRUSTED, "trl_version": "0.29.1"}, "TRL 0.29.1 cannot load", "model_name_or_path"),
        (GPT2, {"args": {"max_length": 2048}}, "has learned 1024 positions", "recipe.args.max_length"),
        (
            {**LLAMA, "quantization_config": {"quant_method": "gptq"}},
            {},
            "cannot be trained themselves",
            "recipe.lora",
        ),
        ({**LLAMA, "quantization_config": {"load_in_4bit": True}}, {}, "cannot be trained themselves", "recipe.lora"),
        (
            {**LLAMA, "quantization_config": {"quant_method": "awq"}},
            {"lora": {}, "quantization": {}},
            "goes with others",
            "recipe.quantization",
        ),
        (
            {**LLAMA, "quantization_config": {"quant_method": "vptq"}},
            {"lora": {}},
            "cannot train",
            "model_name_or_path",
        ),
    ],
)
def test_what_cannot_be_trained_is_refused(
    config: dict[str, Any], recipe: dict[str, Any], message: str, field: str
) -> None:
    found = architecture(config, **recipe)
    assert found.verdict is Verdict.FAILED
    assert message in found.message
    assert field in str(found.field)
    assert found.remedy


@pytest.mark.parametrize(
    ("config", "recipe"),
    [
        (LLAMA, {}),
        (GPT2, {}),
        (GPT2, {"args": {"max_length": 1024}}),
        (LLAMA | {"max_position_embeddings": 128}, {"args": {"max_length": 4096}}),  # rotary positions go on
        (OWN_CODE, TRUSTED),
        (OWN_CODE, {"args": {"trust_remote_code": True, "model_init_kwargs": {"use_cache": False}}}),
        (LLAMA | {"auto_map": {"AutoModelForCausalLM": "x.Y"}}, {}),
        (LLAMA | {"architectures": ["OwnForCausalLM"], "auto_map": {"AutoModelForCausalLM": "x.Y"}}, {}),
        ({"model_type": "qwen2_5_vl", "architectures": ["Qwen2_5_VLForConditionalGeneration"]}, {}),
        ({"model_type": "gemma3", "architectures": ["Gemma3ForConditionalGeneration"]}, {}),
        ({"model_type": "mixtral", "architectures": ["MixtralForCausalLM"]}, {}),
        ({**LLAMA, "quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}}, {"lora": {}}),
        ({**LLAMA, "quantization_config": {"quant_method": "bitsandbytes"}}, {"lora": {}, "quantization": {}}),
        ({**LLAMA, "quantization_config": {"quant_method": "fp8"}}, {}),  # may be undone while it is loaded
        ({**LLAMA, "quantization_config": {"quant_method": "mxfp4"}}, {"lora": {}}),
        ({**LLAMA, "quantization_config": {"quant_method": "of tomorrow"}}, {}),
        ({**LLAMA, "quantization_config": 7}, {}),
    ],
)
def test_what_is_only_unusual_passes(config: dict[str, Any], recipe: dict[str, Any]) -> None:
    found = architecture(config, **recipe)
    assert found.verdict is Verdict.PASSED, found


@pytest.mark.parametrize(
    ("config", "fields", "message", "remedy"),
    [
        (LLAMA, {"target_modules": ["c_attn"]}, "linear layers are q_proj, k_proj", "Name some of those"),
        (LLAMA, {"target_modules": ["q_porj", "v_porj"]}, "q_porj, v_porj", "Did you mean 'q_proj'?"),
        (LLAMA, {"target_modules": ["q_porj", "v_proj"]}, "q_porj in lora.target_modules", "Did you mean 'q_proj'?"),
        (LLAMA, {"modules_to_save": ["nope"]}, "nope in lora.modules_to_save is nothing", "Name some"),
        (
            LLAMA,
            {"target_parameters": ["nope.weight"], "dropout": 0.0},
            "nope.weight in lora.target_parameters",
            "Name some",
        ),
        (GPT2, {"target_modules": ["q_proj", "v_proj"]}, "linear layers are c_attn", "Did you mean"),
        ({"model_type": "gemma3_text"}, {"target_modules": ["c_attn", "wq"]}, "linear layers are q_proj", "Name some"),
        ({"model_type": "mixtral"}, {"target_modules": ["c_attn", "wq"]}, "nothing in the model", "Name some"),
    ],
)
def test_lora_on_what_the_model_does_not_have(
    config: dict[str, Any], fields: dict[str, Any], message: str, remedy: str
) -> None:
    found = lora(config, **fields)
    assert found is not None
    assert (found.check, found.verdict) == ("lora_targets", Verdict.FAILED)
    assert message in found.message
    assert remedy in str(found.remedy)
    assert str(found.field).startswith("recipe.lora.")


@pytest.mark.parametrize(
    ("config", "fields"),
    [
        (LLAMA, {}),
        (LLAMA, {"target_modules": "All-Linear"}),
        (LLAMA, {"target_modules": ["q_proj", "c_attn"]}),  # peft takes what it finds
        (LLAMA, {"target_modules": ["c_proj", "q_proj", "fc1", "query_key_value"]}),
        (LLAMA, {"target_modules": ["self_attn.q_proj", "v_proj"]}),
        (LLAMA, {"target_modules": ["model.layers.0.self_attn.q_proj", "x"]}),
        (LLAMA, {"target_modules": r".*\.(q|v)_proj"}),
        (LLAMA, {"modules_to_save": ["lm_head", "embed_tokens"]}),
        (LLAMA, {"modules_to_save": ["head"]}),
        (LLAMA, {"target_parameters": ["q_proj.weight"], "dropout": 0.0}),
        ({"model_type": "qwen3_moe"}, {"target_parameters": ["mlp.experts.gate_up_proj"], "dropout": 0.0}),
        ({"model_type": "qwen2_vl"}, {"target_modules": ["anything"]}),
        ({"model_type": "of tomorrow"}, {"target_modules": ["anything"]}),
        ({}, {"target_modules": ["anything"]}),
    ],
)
def test_lora_on_what_is_there_or_not_known(config: dict[str, Any], fields: dict[str, Any]) -> None:
    found = lora(config, **fields)
    assert found is None or found.verdict is Verdict.PASSED


def fact(**changes: Any) -> ModelFact:
    told = {"config": LLAMA, "has_weights": True, "has_tokenizer": True, "sha": "a" * 40, **changes}
    return ModelFact(outcome=Outcome.FOUND, **told)


@pytest.mark.parametrize(
    ("changes", "message", "remedy"),
    [
        ({"config": None, "config_wrong": "is no JSON"}, "config.json of acme/model is no JSON", "Correct it"),
        ({"config": None}, "has no config.json", "not GGUF"),
        ({"config": None, "adapter_of": "acme/base"}, "an adapter alone", "Name 'acme/base'"),
        ({"has_weights": False}, "no .safetensors or .bin file", "transformers format"),
        ({"has_weights": False, "is_gguf": True}, "only GGUF files", "transformers format"),
        ({"has_tokenizer": False}, "has no tokenizer", "with its tokenizer"),
        ({"config": LLAMA | {"hidden_size": "big"}}, "says hidden_size is big", "Correct it"),
        ({"config": LLAMA | {"hidden_size": "inf"}}, "says hidden_size is inf", "Correct it"),
        ({"config": LLAMA | {"num_attention_heads": 0}}, "says num_attention_heads is 0", "Correct it"),
        ({"config": LLAMA | {"num_hidden_layers": -1}}, "says num_hidden_layers is -1", "Correct it"),
    ],
)
def test_a_repository_that_is_no_whole_model(changes: dict[str, Any], message: str, remedy: str) -> None:
    found = check_model(wanted(), fact(**changes))
    assert found.verdict is Verdict.FAILED
    assert message in found.message
    assert remedy in str(found.remedy)


@pytest.mark.parametrize(
    ("changes", "recipe", "verdict"),
    [
        ({}, {}, Verdict.PASSED),
        ({"has_weights": None, "has_tokenizer": None}, {}, Verdict.PASSED),
        ({"config": LLAMA | {"num_key_value_heads": [8, 4], "head_dim": None}}, {}, Verdict.PASSED),
        ({"config": {"model_type": "own", "num_attention_heads": 0}}, {}, Verdict.PASSED),
        ({"has_weights": False}, {"args": {"model_init_kwargs": {"gguf_file": "x.gguf"}}}, Verdict.PASSED),
        ({"has_weights": False}, {"args": {"model_init_kwargs": '{"subfolder": "x"}'}}, Verdict.PASSED),
        ({"config": None, "config_unread": "nested too deeply"}, {}, Verdict.UNKNOWN),
    ],
)
def test_what_is_only_odd_or_not_known_is_not_refused(
    changes: dict[str, Any], recipe: dict[str, Any], verdict: Verdict
) -> None:
    assert check_model(wanted(**recipe), fact(**changes)).verdict is verdict
