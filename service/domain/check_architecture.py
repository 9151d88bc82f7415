"""Is the model one that TRL's SFT trains, in the way that the recipe asks for.

Refused is only what is certain: by the tables of the transformers that the recipe's TRL runs with, and by what
`create_model_from_path` of that TRL does with config.json. A checkpoint that brings code of its own, and may run it,
is judged by nobody before it runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from service.domain.finding import Finding, failed, passed, unknown
from service.domain.run import Reason
from service.domain.trl.flags import described, release
from service.domain.trl.models import Models, models
from service.domain.wanted import Training, Wanted

MODEL = "recipe.model_name_or_path"
TRUST = "recipe.args.trust_remote_code"


def check_architecture(wanted: Wanted, config: Mapping[str, Any]) -> list[Finding]:
    """What is wrong with it, or that nothing is."""
    training = wanted.training
    if training is None or training.loads_otherwise or training.trl_version not in described():
        return []
    release_of = release(training.trl_version)
    known = models(release_of.versions["transformers"])
    if known is None:
        return [unknown("architecture", "the models of this release are not described here")]
    found = _class(training, config, known, release_of.custom_code) or _quantised(training, config, known)
    if found is not None:
        return [found]
    told = [passed("architecture", f"transformers {known.version} has it: {_first(config) or 'its own code'}")]
    return told + _length(wanted, training, config, known)


def _class(training: Training, config: Mapping[str, Any], known: Models, takes_custom: bool) -> Finding | None:
    """The model's type, and the class that `architectures` names."""
    model_type, first = config.get("model_type"), _first(config)
    auto_map = config.get("auto_map")
    brings_code = isinstance(auto_map, dict) and bool(auto_map)
    if brings_code and takes_custom and training.trusts_code:
        return None
    if not isinstance(model_type, str) or model_type not in known.model_types:
        return _unknown_type(training, model_type, brings_code, takes_custom, known)
    if first is None:
        message = "config.json names no class in 'architectures', by which TRL chooses what to load"
        return failed("architecture", message, Reason.PREFLIGHT_FAILED, MODEL, "Name another model, or add it there.")
    if first in known.trained:
        return None
    if first in known.other:
        message = f"{first} is no language model: SFT trains what writes the next token (…ForCausalLM and the like)"
        remedy = "Name a model that generates text; of many such models there is one in the same family."
        return failed("architecture", message, Reason.PREFLIGHT_FAILED, MODEL, remedy)
    if takes_custom and "auto_map" in config and model_type in known.causal:
        return None  # TRL takes the auto class then, and that one the class of the type
    if brings_code and takes_custom:
        return _untrusted()
    message = f"neither transformers {known.version} nor the repository has the class {first}"
    return failed("architecture", message, Reason.PREFLIGHT_FAILED, MODEL, "Name another model.")


def _unknown_type(
    training: Training, model_type: object, brings_code: bool, takes_custom: bool, known: Models
) -> Finding:
    if brings_code and takes_custom:
        return _untrusted()
    if brings_code:
        message = f"its code comes with the repository, which TRL {training.trl_version} cannot load"
        return failed(
            "architecture", message, Reason.PREFLIGHT_FAILED, MODEL, "Take trl_version 1.16.0, or another model."
        )
    if model_type is None:
        message = "config.json has no 'model_type': transformers cannot tell what it is"
    else:
        message = f"transformers {known.version}, which the job runs, does not know the model type '{model_type}'"
    return failed(
        "architecture", message[:300], Reason.PREFLIGHT_FAILED, MODEL, "Name a model of a type that it knows."
    )


def _untrusted() -> Finding:
    message = "its code comes with the repository, and is only run where that is allowed"
    remedy = 'Read that code, and set "trust_remote_code": true in recipe.args if you trust it.'
    return failed("architecture", message, Reason.BAD_ARGUMENT, TRUST, remedy)


def _quantised(training: Training, config: Mapping[str, Any], known: Models) -> Finding | None:
    """A checkpoint whose weights are quantised already."""
    told = config.get("quantization_config")
    if not isinstance(told, dict):
        return None
    # bitsandbytes was the only one once, and went without a name
    method = told.get("quant_method") or (
        "bitsandbytes" if told.get("load_in_4bit") or told.get("load_in_8bit") else None
    )
    if not isinstance(method, str):
        return None
    name = "quantization"
    if method in known.never:
        message = f"its weights are quantised by {method}, which transformers cannot train"
        return failed(name, message, Reason.PREFLIGHT_FAILED, MODEL, "Name the model that it was quantised from.")
    if training.is_quantised and method != "bitsandbytes":
        message = f"its weights are quantised by {method} already; recipe.quantization (bitsandbytes) goes with others"
        return failed(name, message, Reason.BAD_ARGUMENT, "recipe.quantization", "Leave recipe.quantization out.")
    if training.lora is None and method in known.never_whole:
        message = f"its weights are quantised by {method}: they cannot be trained themselves, only adapters beside them"
        remedy = 'Add "lora": {}, or name the model that it was quantised from.'
        return failed(name, message, Reason.BAD_ARGUMENT, "recipe.lora", remedy)
    return None


def _length(wanted: Wanted, training: Training, config: Mapping[str, Any], known: Models) -> list[Finding]:
    """Learned positions end: the first longer row ends the job."""
    keys = known.positions.get(str(config.get("model_type")), ())
    bounds = [config[key] for key in keys if isinstance(config.get(key), int) and config[key] > 0]
    if not bounds or training.max_length is None or training.max_length <= min(bounds):
        return []
    message = f"max_length is {training.max_length}, and {wanted.model} has learned {min(bounds)} positions"
    remedy = f"Set max_length to {min(bounds)} or less."
    return [failed("max_length", message, Reason.BAD_ARGUMENT, "recipe.args.max_length", remedy)]


def _first(config: Mapping[str, Any]) -> str | None:
    named = config.get("architectures")
    return named[0] if isinstance(named, list) and named and isinstance(named[0], str) else None
