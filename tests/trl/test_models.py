"""What is refused of models and adapters before a job is made is what the real libraries refuse."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from peft import LoraConfig, get_peft_model
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM
from trl.trainer.utils import add_fused_lm_head, create_model_from_path

from service.domain.check_architecture import check_architecture
from service.domain.check_lora import check_lora
from service.domain.finding import Verdict
from service.domain.trl.fields import Lora
from service.domain.wanted import Training, Wanted

pytestmark = pytest.mark.filterwarnings("ignore")
SMALL = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 64, "intermediate_size": 64}
PATTERN = r".*\.q_proj"
TARGETS: list[Any] = [
    ["q_proj", "v_proj"],
    ["c_attn", "c_fc"],
    ["q_proj", "c_attn"],
    ["self_attn.q_proj", "nope"],
    ["nope", "other"],
    "all-linear",
    "all_linear",
    "all",
    "q_proj,v_proj",
    "q_proj v_proj",
    PATTERN,
]


def tiny(name: str) -> Any:
    if name == "llama":
        return LlamaForCausalLM(LlamaConfig(**SMALL))
    return GPT2LMHeadModel(GPT2Config(n_embd=32, n_layer=1, n_head=2, vocab_size=64, n_positions=8))


def passes(name: str, **fields: Any) -> bool:
    """Whether the check lets it pass."""
    wanted = Wanted(training=Training("1.16.0", lora=Lora.model_validate(fields)))
    return all(one.verdict is Verdict.PASSED for one in check_lora(wanted, {"model_type": name}))


@pytest.mark.parametrize("name", ["llama", "gpt2"])
@pytest.mark.parametrize("targets", TARGETS, ids=str)
def test_lora_targets_that_are_refused_are_refused_by_peft(name: str, targets: Any) -> None:
    is_passed = passes(name, target_modules=targets)
    try:
        get_peft_model(tiny(name), LoraConfig(r=2, task_type="CAUSAL_LM", target_modules=targets))
        is_taken = True
    except (ValueError, re.error):
        is_taken = False
    # a pattern that can be read is only judged by peft
    assert is_taken is is_passed or (targets == PATTERN and is_passed)


@pytest.mark.parametrize("name", ["llama", "gpt2"])
@pytest.mark.parametrize("module", ["lm_head", "head", "nope", "mlp", "wte", "embed_tokens"])
def test_modules_that_are_refused_are_left_out_by_peft(name: str, module: str) -> None:
    model = get_peft_model(tiny(name), LoraConfig(r=2, task_type="CAUSAL_LM", modules_to_save=[module]))
    is_saved = any("modules_to_save" in part for part, _ in model.named_modules())
    assert is_saved is passes(name, modules_to_save=[module])


def saved(folder: Path, model: Any, **changes: Any) -> dict[str, Any]:
    """A model in a folder, its config.json changed."""
    model.save_pretrained(folder)
    config: dict[str, Any] = json.loads((folder / "config.json").read_text()) | changes
    config = {key: value for key, value in config.items() if value is not None}
    (folder / "config.json").write_text(json.dumps(config))
    return config


@pytest.mark.parametrize(
    ("changes", "is_trained"),
    [
        ({}, True),
        ({"architectures": ["LLaMAForCausalLM"]}, False),
        ({"architectures": ["OwnForCausalLM"], "auto_map": {"AutoModelForCausalLM": "own.OwnForCausalLM"}}, True),
        ({"architectures": None}, False),
        ({"architectures": []}, False),
        ({"architectures": ["LlamaModel"]}, False),
        ({"architectures": ["LlamaForSequenceClassification"]}, False),
        ({"model_type": "smollm9"}, False),
        ({"model_type": None}, False),
    ],
    ids=str,
)
def test_models_that_are_refused_are_refused_by_trl(tmp_path: Path, changes: dict[str, Any], is_trained: bool) -> None:
    config = saved(tmp_path, tiny("llama"), **changes)
    found = check_architecture(Wanted(training=Training("1.16.0")), config)
    assert (found[-1].verdict is Verdict.PASSED) is is_trained
    tokens = torch.tensor([[1, 2, 3]])
    try:
        model = create_model_from_path(str(tmp_path), device_map=None)
        add_fused_lm_head(model)
        model(input_ids=tokens, labels=tokens, fused_lm_head=True)
        has_run = True
    except (ValueError, TypeError, AttributeError, IndexError):
        has_run = False
    assert has_run is is_trained


def test_learned_positions_end() -> None:
    model = tiny("gpt2")
    model(torch.zeros((1, 8), dtype=torch.long))
    with pytest.raises(IndexError):
        model(torch.zeros((1, 9), dtype=torch.long))
    config = {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "n_positions": 8}
    longer = check_architecture(Wanted(model="acme/x", training=Training("1.16.0", max_length=9)), config)
    assert longer[-1].check == "max_length"


def test_the_models_are_those_of_the_installed_transformers() -> None:
    root = Path(__file__).parent.parent.parent
    script = str(root / "tools/describe_transformers.py")
    made = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True, timeout=300)
    kept = (root / f"service/domain/trl/models/{transformers.__version__}.json").read_text()
    assert json.loads(made.stdout) == json.loads(kept)
