"""The models that a release of transformers knows: which can be trained on the next token, and what they are made of.

The descriptions in `models/` are made by `make describe-trl` from an installed transformers; nothing here is typed by
hand.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True)
class Models:
    """What one release has. `trained` and `other` are classes: language models, and those with another task.

    `causal` are the model types that its auto class for language models knows, `positions` the keys of config.json that
    bound the length where positions are learned, `modules` every name that a part of a model may have, and `linears`
    those of its linear layers, for the types where the source tells. Checkpoints quantised as in `never_whole` can only
    be trained by adapters, those in `never` not at all."""

    version: str
    model_types: frozenset[str]
    causal: frozenset[str]
    trained: frozenset[str]
    other: frozenset[str]
    positions: Mapping[str, tuple[str, ...]]
    modules: Mapping[str, frozenset[str]]
    linears: Mapping[str, tuple[str, ...]]
    never_whole: frozenset[str]
    never: frozenset[str]


@cache
def models(version: str) -> Models | None:
    """What a release of transformers has; None for one that is not described."""
    found = files("service.domain.trl").joinpath("models", f"{version}.json")
    if not found.is_file():
        return None
    told = json.loads(found.read_text("utf-8"))
    return Models(
        version=version,
        model_types=frozenset(told["model_types"]),
        causal=frozenset(told["causal"]),
        trained=frozenset(told["trained"]),
        other=frozenset(told["other"]),
        positions={name: tuple(keys) for name, keys in told["positions"].items()},
        modules={name: frozenset(one["names"]) for name, one in told["modules"].items()},
        linears={name: tuple(one["linears"]) for name, one in told["modules"].items()},
        never_whole=frozenset(told["quantised"]["never_whole"]),
        never=frozenset(told["quantised"]["never"]),
    )
