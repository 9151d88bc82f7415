"""Is the model there, open to the job, and whole: config.json, weights, tokenizer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from service.domain.estimate.family import FAMILIES
from service.domain.facts import ModelFact, Outcome
from service.domain.finding import Finding, failed, passed, unknown
from service.domain.run import Reason
from service.domain.wanted import MAIN, Wanted, stood_for

FIELD = "recipe.model_name_or_path"
# Of a model type that is known here these are whole numbers above 0, whatever else the config may say.
SIZES = ("hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "vocab_size", "head_dim")


def check_model(wanted: Wanted, fact: ModelFact) -> Finding:
    """One finding for all of it."""
    name = "model"
    if fact.outcome is Outcome.UNKNOWN or fact.outcome is Outcome.DENIED:
        return unknown(name, fact.message)
    if fact.outcome is Outcome.GATED:
        remedy = f"Accept its terms on the page of {wanted.model} as the user of the jobs' token, then submit again."
        return failed(name, f"{wanted.model} is gated: {fact.message}", Reason.GATED_MODEL, FIELD, remedy)
    if fact.outcome is Outcome.MISSING:
        return _missing(wanted, fact)
    found = f"{wanted.model} at {stood_for(wanted.model_revision, fact.sha)}"
    if wanted.training is not None and wanted.training.loads_otherwise:
        return passed(name, f"{found}, loaded as model_init_kwargs says")
    if (wrong := _wrong(wanted.model or "", fact)) is not None:
        return failed(name, wrong[0], Reason.MODEL_NOT_FOUND, FIELD, wrong[1])
    if fact.config is None:
        return unknown(name, fact.config_unread or "its config.json could not be read")
    return passed(name, found)


def _missing(wanted: Wanted, fact: ModelFact) -> Finding:
    if fact.revision_missing:
        message = f"the model {wanted.model} has no revision '{wanted.model_revision}'"
        remedy = "Name a branch, tag or full commit that it has, or leave the revision out for 'main'."
        field = wanted.fields.get("model_revision", "recipe.model_revision")
        return failed("model", message, Reason.MODEL_NOT_FOUND, field, remedy)
    at = "" if wanted.model_revision == MAIN else f" at revision '{wanted.model_revision}'"
    message = f"there is no model {wanted.model}{at} that the jobs' token can see"
    remedy = "Check the name and the revision; a private model needs a jobs' token that may read it."
    if fact.hint.endswith(" a dataset."):
        remedy = f"{fact.hint} Name a model here; the dataset goes into recipe.dataset_name."
    elif fact.hint:
        remedy = f"{fact.hint} {remedy}"
    return failed("model", message, Reason.MODEL_NOT_FOUND, FIELD, remedy)


def _wrong(model: str, fact: ModelFact) -> tuple[str, str] | None:
    """What is missing in the repository, or wrong with it, and the remedy."""
    name_other = "Name a repository in the transformers format (not GGUF, not an adapter alone)."
    if fact.config_wrong:
        message = f"config.json of {model} {fact.config_wrong}: transformers cannot load it"
        return message, "Correct it, or name another model."
    if fact.config is None and not fact.config_unread:
        if fact.adapter_of:
            message = f"{model} is an adapter alone, without a config.json: TRL needs the model that it belongs to"
            return message, f"Name '{fact.adapter_of}', the model that it was trained on."
        return f"{model} has no config.json: transformers cannot load it", name_other
    if fact.has_weights is False:
        what = "only GGUF files" if fact.is_gguf else "no .safetensors or .bin file"
        return f"{model} has no weights that transformers loads: {what}", name_other
    if fact.has_tokenizer is False:
        remedy = "Name a model with its tokenizer in the same repository, such as the one that this was made of."
        return f"{model} has no tokenizer: no tokenizer.json, no vocabulary", remedy
    if fact.config is not None and (key := _nonsense(fact.config)) is not None:
        said = str(fact.config[key])[:40]
        return f"config.json of {model} says {key} is {said}, which no model can have", "Correct it, or name another."
    return None


def _nonsense(config: Mapping[str, Any]) -> str | None:
    """A size that is none."""
    is_known = str(config.get("model_type")) in FAMILIES
    return next((key for key in SIZES if _is_nonsense(config.get(key), is_known)), None)


def _is_nonsense(value: object, is_known: bool) -> bool:
    # some models have a list here, one number for each layer, or leave it to the class
    if isinstance(value, str):
        return True
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return not math.isfinite(value) or value < 0 or (is_known and value < 1)
