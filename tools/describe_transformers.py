"""Describe what an installed transformers says of the models that TRL's SFT script loads with it, as JSON on standard
output.

Run by `make describe-trl` beside `describe_trl.py`. TRL takes the class that config.json names first in `architectures`
out of transformers (trl/trainer/utils.py, `create_model_from_path`), so the mappings of its auto classes tell which
classes are language models and which are something else. What no mapping tells is read off the models' sources.
"""

from __future__ import annotations

import importlib
import inspect
import json
import re
import sys
from collections.abc import Iterator, Mapping

import transformers
from transformers.models.auto import configuration_auto, modeling_auto
from transformers.quantizers import auto as quantizers
from transformers.quantizers.base import HfQuantizer

# What is trained on the next token: the two auto classes that TRL itself falls back on, and their like for sound.
TRAINED = (
    "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES",
    "MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES",
    "MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES",
)
LEARNED = re.compile(r"=\s*(?!\w*Sinusoidal)\w*\.?\w*Embedding\(\s*(?:num_embeddings=)?config\.(\w*positions?\w*)\b")
# A model whose source does one of these has modules that its source does not name.
BUILT_ELSEWHERE = re.compile(r"from_config\(|ModuleDict|add_module|setattr\(self|from \.\.\w+\.modeling_")
UNDONE = re.compile(r"\.dequantize\b(?!\()")
SET = re.compile(r"self\.([A-Za-z]\w*)\s*(?::[^=\n]+)?=")
LINEAR = re.compile(r"self\.(\w+)\s*=\s*(?:nn\.Linear|Conv1D|\w*Linear\w*)\(")


def main() -> None:
    """Write the description of the transformers that this Python finds."""
    trained = {name for mapping in TRAINED for name in classes(getattr(modeling_auto, mapping))}
    known = {
        name
        for mapping in dir(modeling_auto)
        if mapping.endswith("_MAPPING_NAMES")
        for name in classes(getattr(modeling_auto, mapping))
    }
    causal = sorted(modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)
    sources = {name: source for name in causal if (source := source_of(name)) is not None}
    told = {
        "transformers": transformers.__version__,
        "model_types": sorted(configuration_auto.CONFIG_MAPPING_NAMES),
        "causal": causal,
        "trained": sorted(trained),
        "other": sorted(known - trained),
        "positions": {name: found for name, source in sources.items() if (found := positions(name, source))},
        "modules": {name: modules(source) for name, source in sources.items() if not BUILT_ELSEWHERE.search(source)},
        "quantised": {
            "never_whole": [name for name, one in methods() if not trains_whole(one)],
            "never": [name for name, one in methods() if never_trains(one)],
        },
    }
    json.dump(told, sys.stdout, indent=1)
    sys.stdout.write("\n")


def classes(mapping: Mapping[str, object]) -> Iterator[str]:
    """The names of classes in one of the auto classes' mappings."""
    for value in mapping.values():
        yield from (one for one in ([value] if isinstance(value, str) else value) if one)  # type: ignore[attr-defined]


def source_of(model_type: str) -> str | None:
    """The source of a model's module; None where the model has none of its own."""
    name = configuration_auto.model_type_to_module_name(model_type)
    try:
        return inspect.getsource(importlib.import_module(f"transformers.models.{name}.modeling_{name}"))
    except ImportError:
        return None


def positions(model_type: str, source: str) -> list[str]:
    """The keys of config.json by which a model with learned positions says how many it has."""
    keys = set(LEARNED.findall(source))
    if not keys or "axial" in source.lower():
        return []
    config = configuration_auto.CONFIG_MAPPING[model_type]
    aliases = getattr(config, "attribute_map", {})
    return sorted(keys | {aliases[key] for key in keys if key in aliases})


def modules(source: str) -> dict[str, list[str]]:
    """Every name that a part of the model may have, and those of its linear layers. The heads for other tasks have no
    part in a language model, but a name too many only makes the check that uses this more careful."""
    return {"names": sorted(set(SET.findall(source))), "linears": list(dict.fromkeys(LINEAR.findall(source)))}


def methods() -> list[tuple[str, type[HfQuantizer]]]:
    """Each way in which a checkpoint may be quantised, as its config.json names it; those are left out that may be
    undone while it is loaded, as what is trained then is not quantised."""
    table: Mapping[str, type[HfQuantizer]] = quantizers.AUTO_QUANTIZER_MAPPING
    named = {re.sub(r"_[48]bit$", "", name): one for name, one in table.items()}
    kept = (
        (name, one) for name, one in named.items() if not UNDONE.search(inspect.getsource(sys.modules[one.__module__]))
    )
    return sorted(kept, key=lambda item: item[0])


def trains_whole(quantizer: type[HfQuantizer]) -> bool:
    """Whether all weights may be trained, by training that is aware of it (`validate_quantization_for_training`)."""
    return quantizer.is_qat_trainable is not HfQuantizer.is_qat_trainable


def never_trains(quantizer: type[HfQuantizer]) -> bool:
    """Whether not even adapters can be trained on it, whatever else is set."""
    source = inspect.getsource(quantizer.is_trainable.fget)  # type: ignore[attr-defined]
    return source.count("return") == 1 and source.strip().endswith("return False")


if __name__ == "__main__":
    main()
