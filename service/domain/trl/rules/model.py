"""How the model is loaded."""

from __future__ import annotations

import re

from service.domain.trl.rules.rule import Flags, Rule

# transformers/modeling_utils.py, ALL_ATTENTION_FUNCTIONS; "paged|" may stand before each
ATTENTION = frozenset(
    ("eager", "sdpa", "flash_attention_2", "flash_attention_3", "flash_attention_4", "flex_attention")
)
# transformers/integrations/hub_kernels.py, is_kernel: a kernel of the Hub
KERNEL = re.compile(r"[^/:]+/[^/:]+(@[^/:]+)?(:[^/:]+)?")
DTYPES = ("auto", "bfloat16", "float16", "float32")
# transformers/utils/quantization_config.py, BitsAndBytesConfig.__init__
STORAGE = ("float16", "float32", "int8", "uint8", "float64", "bfloat16")


def _unknown_attention(name: object) -> bool:
    if name is None:
        return False
    plain = str(name).removeprefix("paged|")
    return plain not in ATTENTION and KERNEL.fullmatch(plain) is None


def _inner(flags: Flags, name: str) -> object:
    return flags.table("model_init_kwargs").get(name)


RULES = (
    Rule(
        "unknown_attention",
        ("attn_implementation",),
        lambda flags: _unknown_attention(flags["attn_implementation"]),
        "transformers has no 'attn_implementation' {attn_implementation}",
        "Take 'sdpa', 'eager' or 'flash_attention_2', or a kernel of the Hub, such as 'kernels-community/flash-attn2'.",
        "transformers/modeling_utils.py, PreTrainedModel.get_correct_attn_implementation",
    ),
    Rule(
        "flex_attention_on_cpu",
        ("attn_implementation", "use_cpu"),
        lambda flags: flags["attn_implementation"] == "flex_attention" and flags.on("use_cpu"),
        "'attn_implementation' flex_attention cannot learn on a CPU, and 'use_cpu' is true",
        "Take 'sdpa', or leave use_cpu out.",
        "torch/nn/attention/flex_attention.py: FlexAttention does not support backward on CPU",
    ),
    Rule(
        "unknown_attention_inside",
        ("model_init_kwargs",),
        lambda flags: _unknown_attention(_inner(flags, "attn_implementation")),
        "'model_init_kwargs' has an attn_implementation that transformers has not: {model_init_kwargs}",
        "Take 'sdpa', 'eager' or 'flash_attention_2', or a kernel of the Hub, such as 'kernels-community/flash-attn2'.",
        "transformers/modeling_utils.py, PreTrainedModel.get_correct_attn_implementation",
        releases=("1.16.0",),
    ),
    Rule(
        "unknown_dtype_inside",
        ("model_init_kwargs",),
        lambda flags: _inner(flags, "dtype") is not None and _inner(flags, "dtype") not in DTYPES,
        "'model_init_kwargs' has a dtype that TRL does not know: {model_init_kwargs}",
        f"Take one of {', '.join(DTYPES)}; best as args.dtype.",
        "trl/trainer/utils.py, create_model_from_path",
        releases=("1.16.0",),
    ),
    Rule(
        "quantized_twice",
        ("model_init_kwargs", "load_in_4bit", "load_in_8bit"),
        lambda flags: (
            "quantization_config" in flags.table("model_init_kwargs")
            and (flags.on("load_in_4bit") or flags.on("load_in_8bit"))
        ),
        "'model_init_kwargs' has a quantization_config, and recipe.quantization is given as well",
        "Leave quantization_config out of it.",
        "trl/trainer/sft_trainer.py, SFTTrainer.__init__",
        releases=("1.16.0",),
    ),
    Rule(
        "unknown_storage",
        ("bnb_4bit_quant_storage",),
        lambda flags: flags["bnb_4bit_quant_storage"] is not None and flags["bnb_4bit_quant_storage"] not in STORAGE,
        "4-bit weights cannot be stored as '{bnb_4bit_quant_storage}'",
        f"Take one of {', '.join(STORAGE)}, or leave it out for uint8.",
        "transformers/utils/quantization_config.py, BitsAndBytesConfig.__init__",
    ),
)
