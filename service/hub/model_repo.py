"""Works out what a model's repository holds: its config.json, its weights, its tokenizer and that one's template."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from service.domain.facts import ModelFact, Outcome
from service.hub.content import TooDeep, parsed
from service.hub.faults import HubRefused

ReadFile = Callable[[str], bytes]

WEIGHTS = re.compile(r".*\.(safetensors|bin|pt|pth|ckpt)")
NO_WEIGHTS = re.compile(r"(.*/)?(adapter_model|optimizer|scheduler|training_args|rng_state)[^/]*")
# Any of these may be all that a tokenizer needs; a repository without one of them has none.
TOKENIZER = re.compile(
    r"(.*/)?(tokenizer|vocab|merges|spiece|sentencepiece|bpe|source\.spm|tekken|processor_config|preprocessor_config"
    r"|special_tokens_map|tokenization_)[^/]*|.*\.(model|tiktoken|spm|vocab)",
    re.IGNORECASE,
)
TEMPLATE_FILES = ("chat_template.jinja", "chat_template.json")


def describe_model(sha: str, info: Mapping[str, Any], names: Sequence[str], read: ReadFile) -> ModelFact:
    """One model. `read` reads one of its files; what is not to be had of them stays unknown. Raises HubFault where
    files are not given out at all, and for trouble that will pass."""
    config, wrong, unread = None, "", ""
    if "config.json" in names:
        config, wrong, unread = _object("config.json", read)
    return ModelFact(
        outcome=Outcome.FOUND,
        sha=sha,
        config=config,
        config_wrong=wrong,
        config_unread=unread,
        parameters=_parameters(info),
        has_chat_template=_has_template(names, read),
        has_weights=any(map(_is_weights, names)) if names else None,
        has_tokenizer=any(map(TOKENIZER.fullmatch, names)) if names else None,
        adapter_of=_base(names, read),
        is_gguf=any(name.endswith(".gguf") for name in names),
    )


def _object(name: str, read: ReadFile) -> tuple[dict[str, Any] | None, str, str]:
    """A file's JSON object; else what is wrong with it for everybody, or why it is not read here."""
    try:
        value = parsed(read(name))
    except TooDeep:
        return None, "", f"{name} is nested too deeply to be read here"
    except HubRefused as error:
        if error.code == "GatedRepo" or error.status in (401, 403):
            raise  # that is said of the whole repository
        return None, "", error.message
    except ValueError:
        return None, "is no JSON", ""
    if not isinstance(value, dict):
        return None, f"holds {'a list' if isinstance(value, list) else 'a single value'}, not an object", ""
    return value, "", ""


def _has_template(names: Sequence[str], read: ReadFile) -> bool | None:
    if any(name in TEMPLATE_FILES or name.startswith("additional_chat_templates/") for name in names):
        return True
    if "tokenizer_config.json" not in names:
        return False if names else None
    config, _, _ = _object("tokenizer_config.json", read)
    template = None if config is None else config.get("chat_template", "")
    # text, or several by name, as transformers 4 wrote them
    return bool(template) if isinstance(template, str | list) else None


def _base(names: Sequence[str], read: ReadFile) -> str:
    """The model that an adapter alone belongs to."""
    if "adapter_config.json" not in names or "config.json" in names:
        return ""
    config, _, _ = _object("adapter_config.json", read)
    base = (config or {}).get("base_model_name_or_path")
    return base if isinstance(base, str) else ""


def _is_weights(name: str) -> bool:
    return WEIGHTS.fullmatch(name) is not None and NO_WEIGHTS.fullmatch(name) is None


def _parameters(info: Mapping[str, Any]) -> dict[str, int]:
    told = info.get("safetensors")
    counts = told.get("parameters") if isinstance(told, dict) else None
    if not isinstance(counts, dict):
        return {}
    return {kind: count for kind, count in counts.items() if isinstance(count, int) and count > 0}
