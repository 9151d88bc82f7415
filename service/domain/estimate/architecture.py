"""A model's architecture, read from its config.json and the Hub's `safetensors` summary.

Everything else of the estimate needs exact numbers of parameters, so a model that this cannot describe exactly is
`NotCovered`, with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from service.domain.estimate.family import FAMILIES, Family

# GPT-2's old names for what every other config.json calls otherwise.
ALIASES = {
    "hidden_size": "n_embd",
    "num_hidden_layers": "n_layer",
    "num_attention_heads": "n_head",
    "intermediate_size": "n_inner",
    "max_position_embeddings": "n_positions",
}
# Keys by which a config.json says that it describes a mixture of experts.
EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts", "num_experts_per_tok")
OTHER_INPUTS = ("vision_config", "audio_config", "vision_tower", "speech_config")
WEIGHT_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
# A repository may hold the tied head a second time (Qwen3-0.6B) or buffers (GPT-2), no more than a few percent beside.
WEIGHTS_OFF = 0.05


class NotCovered(Exception):
    """The estimate does not reach this model or training; the text says why, in a sentence's end."""


@dataclass(frozen=True)
class Linear:
    """One linear layer: its module's name, width in and out, and whether it has a bias."""

    name: str
    inputs: int
    outputs: int
    bias: bool

    @property
    def parameters(self) -> int:
        """Weights and biases."""
        return self.inputs * self.outputs + (self.outputs if self.bias else 0)


@dataclass(frozen=True)
class Architecture:
    """Sizes of a dense decoder-only transformer. `width` is heads x head_dim, `kv_width` that of keys and values."""

    model_type: str
    family: Family
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    vocabulary: int
    positions: int  # learned position embeddings, 0 where there are none
    tied: bool
    linears: tuple[Linear, ...]  # of one layer
    mlp: Literal["gated", "plain", "manual"]  # `manual`: an activation made of many small steps
    rotates_part: bool  # rotary embedding of a part of each head only
    drops_residual: bool  # dropout after attention and MLP
    caps_logits: bool  # logits are softcapped by a tanh
    window: int | None  # tokens that an attention layer looks back, None for all
    stored_bytes: int | None  # of the repository's weights, where the Hub tells it
    stored_weight_bytes: int | None  # of one weight, as config.json names its type

    @property
    def width(self) -> int:
        """Width of the queries."""
        return self.heads * self.head_dim

    @property
    def kv_width(self) -> int:
        """Width of the keys, and of the values."""
        return self.kv_heads * self.head_dim

    @property
    def embedding(self) -> int:
        """Parameters of the token embedding, which are also those of an untied head without its bias."""
        return self.vocabulary * self.hidden

    @cached_property
    def layer_parameters(self) -> int:
        """Parameters of one layer."""
        return sum(linear.parameters for linear in self.linears) + self._norm_parameters

    @cached_property
    def parameters(self) -> int:
        """Parameters of the whole model, each tied one once."""
        head = 0 if self.tied else self.embedding + (self.vocabulary if self.family.head_bias else 0)
        final_norm = self._one_norm
        return self.embedding + head + self.positions * self.hidden + self.layers * self.layer_parameters + final_norm

    @property
    def _one_norm(self) -> int:
        return {"rms": 1, "layer_without_bias": 1, "layer": 2, "none": 0}[self.family.norm] * self.hidden

    @property
    def _norm_parameters(self) -> int:
        of_heads = {"none": 0, "head": 2 * self.head_dim, "width": self.width + self.kv_width}[self.family.qk_norm]
        return self.family.norms_per_layer * self._one_norm + of_heads


def read_architecture(config: Mapping[str, Any] | None, safetensors: Mapping[str, Any] | None = None) -> Architecture:
    """The architecture that a config.json describes. `safetensors` is the Hub's
    `{"parameters": {dtype: n}, "total": n}`. Raises NotCovered."""
    if not config:
        raise NotCovered("the model has no config.json that can be read")
    family = _family(config)
    hidden, layers, heads = (_size(config, key) for key in ("hidden_size", "num_hidden_layers", "num_attention_heads"))
    head_dim = _size(config, "head_dim", family.head_dim or hidden // heads)
    kv_heads = _size(config, "num_key_value_heads", family.kv_heads or heads)
    model_type = config["model_type"]
    is_gpt2 = model_type == "gpt2"
    intermediate = _size(config, "intermediate_size", 4 * hidden if is_gpt2 else None)
    found = Architecture(
        model_type=model_type,
        family=family,
        hidden=hidden,
        layers=layers,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        intermediate=intermediate,
        vocabulary=_size(config, "vocab_size"),
        positions=_size(config, "max_position_embeddings") if is_gpt2 else 0,
        tied=bool(config.get("tie_word_embeddings", family.tied)),
        linears=_linears(family, config, hidden, heads * head_dim, kv_heads * head_dim, intermediate),
        mlp=_mlp(family, config),
        rotates_part=0 < _share(config, ("partial_rotary_factor", "rotary_pct"), family.rotary_share) < 1,
        drops_residual=_share(config, ("resid_pdrop", "residual_dropout", "hidden_dropout"), 0.1 if is_gpt2 else 0) > 0,
        caps_logits=bool(config.get("final_logit_softcapping", family.caps_logits)),
        window=_window(family, config),
        stored_bytes=_stored_bytes(safetensors),
        stored_weight_bytes=WEIGHT_BYTES.get(str(config.get("dtype", config.get("torch_dtype")))),
    )
    _check_total(found, safetensors)
    return found


def _family(config: Mapping[str, Any]) -> Family:
    model_type = config.get("model_type")
    if config.get("quantization_config"):
        raise NotCovered("the checkpoint is quantised already")
    if any(config.get(key) for key in OTHER_INPUTS):
        raise NotCovered(f"'{model_type}' takes pictures or sound beside text")
    if config.get("is_encoder_decoder"):
        raise NotCovered(f"'{model_type}' has an encoder and a decoder")
    if any(isinstance(config.get(key), int) and config[key] > 1 for key in EXPERTS):
        raise NotCovered(f"'{model_type}' is a mixture of experts")
    if not isinstance(model_type, str) or model_type not in FAMILIES:
        raise NotCovered(f"the model type '{model_type}' is not known here")
    if refused := next((key for key in FAMILIES[model_type].refused if config.get(key)), None):
        raise NotCovered(f"'{model_type}' with '{refused}' is not known here")
    return FAMILIES[model_type]


def _size(config: Mapping[str, Any], key: str, default: int | None = None) -> int:
    value = config.get(key)
    if value is None and config.get("model_type") == "gpt2" and key in ALIASES:
        value = config.get(ALIASES[key])
    if value is None:
        value = default
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value < 10**8:
        raise NotCovered(f"config.json gives no usable '{key}'")
    return value


def _linears(
    family: Family, config: Mapping[str, Any], hidden: int, width: int, kv_width: int, intermediate: int
) -> tuple[Linear, ...]:
    def has(bias: str | bool) -> bool:
        return bool(config.get(bias, family.bias_default)) if isinstance(bias, str) else bias

    qkv, mlp = has(family.qkv_bias), has(family.mlp_bias)
    *inner, output = family.attention
    widths = (width, kv_width, kv_width) if len(inner) == 3 else (width + 2 * kv_width,)
    attention = [Linear(name, hidden, outputs, qkv) for name, outputs in zip(inner, widths, strict=True)]
    *up, down = family.mlp
    outputs = 2 * intermediate if family.fused_gate else intermediate
    return (
        *attention,
        Linear(output, width, hidden, has(family.output_bias)),
        *(Linear(name, hidden, outputs, mlp) for name in up),
        Linear(down, intermediate, hidden, mlp),
    )


def _mlp(family: Family, config: Mapping[str, Any]) -> Literal["gated", "plain", "manual"]:
    if len(family.mlp) == 3 or family.fused_gate:
        return "gated"
    activation = config.get("hidden_act", config.get("activation_function", family.activation))
    return "manual" if activation in ("gelu_new", "gelu_fast") else "plain"


def _share(config: Mapping[str, Any], keys: tuple[str, ...], default: float) -> float:
    value = next((config[key] for key in keys if config.get(key) is not None), default)
    return float(value) if isinstance(value, int | float) else default


def _window(family: Family, config: Mapping[str, Any]) -> int | None:
    """Qwen names a window that it does not use unless `use_sliding_window`; a null says that there is none."""
    if not config.get("use_sliding_window", True) or ("use_sliding_window" not in config and family.window == 0):
        return None
    window = config.get("sliding_window", family.window)
    return window if isinstance(window, int) and window > 0 else None


def _stored_bytes(safetensors: Mapping[str, Any] | None) -> int | None:
    sizes = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "BF16": 2, "F16": 2, "F8_E4M3": 1, "I8": 1, "U8": 1, "BOOL": 1}
    by_dtype = (safetensors or {}).get("parameters")
    if not isinstance(by_dtype, Mapping) or not by_dtype:
        return None
    return sum(sizes.get(dtype, 4) * int(count) for dtype, count in by_dtype.items())


def _check_total(found: Architecture, safetensors: Mapping[str, Any] | None) -> None:
    """The weights on the Hub must be those that config.json describes: adapters, or other models' files, are not."""
    total = (safetensors or {}).get("total")
    if not isinstance(total, int) or total <= 0:
        return
    buffers = found.layers * found.positions**2  # GPT-2 files keep each layer's causal mask
    allowed = {found.parameters, found.parameters + found.embedding * found.tied, found.parameters + buffers}
    if all(abs(total - count) > WEIGHTS_OFF * count for count in allowed):
        raise NotCovered(f"the repository holds {total:,} weights, but its config.json describes {found.parameters:,}")
