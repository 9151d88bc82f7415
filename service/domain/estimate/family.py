"""What a `model_type` has that its config.json leaves out: names of linear layers, biases, norms, defaults.

Read from the model and config classes of transformers 5.24 and checked against them: for the configs in
`tests/domain/estimate/configs.py` the parameters and adapters counted from this table are those of the real classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SPLIT = ("q_proj", "k_proj", "v_proj", "o_proj")
GATED = ("gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True)
class Family:
    """One architecture. `tied`, `kv_heads`, `head_dim` and the biases are the config class's defaults."""

    attention: tuple[str, ...] = SPLIT  # four names, or two: the fused projection and the output's
    mlp: tuple[str, ...] = GATED  # three names: gated. Two: plain, or with `fused_gate` gate and up in one
    fused_gate: bool = False
    tied: bool = False
    kv_heads: int | None = None  # None: as many as heads
    head_dim: int | None = None  # None: hidden / heads
    qkv_bias: str | bool = False  # a text names the key of config.json that says so
    output_bias: str | bool = False
    mlp_bias: str | bool = False
    bias_default: bool = False
    norm: Literal["rms", "layer", "layer_without_bias", "none"] = "rms"
    norms_per_layer: int = 2
    qk_norm: Literal["none", "head", "width"] = "none"
    parallel: bool = False  # attention and MLP read the same input
    head_bias: bool = False
    window: int | None = None  # sliding attention where config.json does not say; 0: only with `use_sliding_window`
    rotary_share: float = 1.0
    activation: str = "gelu"
    eager: bool = False  # transformers has no other attention for it by default (softcapped scores)
    caps_logits: bool = False
    refused: tuple[str, ...] = ()  # keys of config.json that, if true, lead outside of this description


_LLAMA = Family(qkv_bias="attention_bias", output_bias="attention_bias", mlp_bias="mlp_bias")
_GEMMA = Family(tied=True, head_dim=256, qkv_bias="attention_bias", output_bias="attention_bias")

FAMILIES: dict[str, Family] = {
    "llama": _LLAMA,
    "smollm3": Family(
        tied=True, kv_heads=4, qkv_bias="attention_bias", output_bias="attention_bias", mlp_bias="mlp_bias"
    ),
    "granite": _LLAMA,
    "helium": _LLAMA,
    "arcee": Family(
        mlp=("up_proj", "down_proj"), qkv_bias="attention_bias", output_bias="attention_bias", mlp_bias="mlp_bias"
    ),
    "seed_oss": Family(
        qkv_bias="attention_bias", output_bias="attention_out_bias", mlp_bias="mlp_bias", bias_default=True, kv_heads=8
    ),
    "ernie4_5": Family(tied=True, qkv_bias="use_bias", output_bias="use_bias", mlp_bias="use_bias", kv_heads=2),
    "exaone4": Family(qk_norm="head"),
    "hunyuan_v1_dense": Family(qkv_bias="attention_bias", output_bias="attention_bias", qk_norm="head"),
    "glm": Family(
        mlp=("gate_up_proj", "down_proj"), fused_gate=True, kv_heads=2, qkv_bias="attention_bias", bias_default=True
    ),
    "glm4": Family(
        mlp=("gate_up_proj", "down_proj"),
        fused_gate=True,
        kv_heads=2,
        qkv_bias="attention_bias",
        bias_default=True,
        norms_per_layer=4,
    ),
    "mistral": Family(kv_heads=8, window=4096),
    "ministral3": Family(kv_heads=8),
    "qwen2": Family(qkv_bias=True, window=0),
    "qwen3": Family(head_dim=128, qkv_bias="attention_bias", output_bias="attention_bias", qk_norm="head", window=0),
    "gemma": _GEMMA,
    "gemma2": Family(
        tied=True,
        head_dim=256,
        norms_per_layer=4,
        qkv_bias="attention_bias",
        output_bias="attention_bias",
        window=4096,
        eager=True,
        caps_logits=True,
    ),
    "gemma3_text": Family(
        tied=True,
        head_dim=256,
        norms_per_layer=4,
        qk_norm="head",
        qkv_bias="attention_bias",
        output_bias="attention_bias",
        window=4096,
    ),
    "phi3": Family(attention=("qkv_proj", "o_proj"), mlp=("gate_up_proj", "down_proj"), fused_gate=True),
    "olmo": Family(norm="none", qkv_bias="attention_bias", output_bias="attention_bias"),
    "olmo2": Family(qk_norm="width", qkv_bias="attention_bias", output_bias="attention_bias"),
    "olmo3": Family(qk_norm="width", qkv_bias="attention_bias", output_bias="attention_bias"),
    "stablelm": Family(
        qkv_bias="use_qkv_bias", norm="layer", rotary_share=0.25, refused=("qk_layernorm", "use_parallel_residual")
    ),
    "starcoder2": Family(
        mlp=("c_fc", "c_proj"),
        tied=True,
        kv_heads=2,
        qkv_bias="use_bias",
        output_bias="use_bias",
        mlp_bias="use_bias",
        bias_default=True,
        norm="layer",
    ),
    "phi": Family(
        attention=("q_proj", "k_proj", "v_proj", "dense"),
        mlp=("fc1", "fc2"),
        qkv_bias=True,
        output_bias=True,
        mlp_bias=True,
        norm="layer",
        norms_per_layer=1,
        parallel=True,
        head_bias=True,
        rotary_share=0.5,
        activation="gelu_new",
        refused=("qk_layernorm",),
    ),
    "nemotron": Family(
        mlp=("up_proj", "down_proj"),
        qkv_bias="attention_bias",
        output_bias="attention_bias",
        mlp_bias="mlp_bias",
        norm="layer",
        rotary_share=0.5,
        activation="relu2",
    ),
    "gpt_neox": Family(
        attention=("query_key_value", "dense"),
        mlp=("dense_h_to_4h", "dense_4h_to_h"),
        qkv_bias="attention_bias",
        output_bias="attention_bias",
        mlp_bias=True,
        bias_default=True,
        norm="layer",
        rotary_share=0.25,
        parallel=True,
    ),
    "gpt2": Family(
        attention=("c_attn", "c_proj"),
        mlp=("c_fc", "c_proj"),
        tied=True,
        qkv_bias=True,
        output_bias=True,
        mlp_bias=True,
        norm="layer",
        activation="gelu_new",
        refused=("add_cross_attention",),
    ),
    "cohere": Family(
        tied=True,
        qkv_bias="attention_bias",
        output_bias="attention_bias",
        norm="layer_without_bias",
        norms_per_layer=1,
        parallel=True,
        refused=("use_qk_norm",),
    ),
    "cohere2": Family(
        tied=True,
        qkv_bias="attention_bias",
        output_bias="attention_bias",
        norm="layer_without_bias",
        norms_per_layer=1,
        parallel=True,
    ),
}
