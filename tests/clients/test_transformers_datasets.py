"""transformers, datasets and TRL against the sandbox, unmodified, with Xet installed and on.

Each script runs in a process of its own with a home of its own, because the libraries read their environment when
they are imported. Models and training need torch and trl, which are not part of requirements/clients.in.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.sandbox.serve import Options, SandboxServer

TOKENIZER = """
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast
words = {word: number for number, word in enumerate(["[PAD]", "[UNK]", "<s>", "</s>", "red", "green", "blue"])}
bare = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
bare.pre_tokenizer = pre_tokenizers.Whitespace()
tokenizer = PreTrainedTokenizerFast(
    tokenizer_object=bare, unk_token="[UNK]", pad_token="[PAD]", bos_token="<s>", eos_token="</s>"
)
"""
MODEL = """
from transformers import LlamaConfig, LlamaForCausalLM
config = LlamaConfig(
    hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, vocab_size=7, bos_token_id=2,
    eos_token_id=3, pad_token_id=0,
)
model = LlamaForCausalLM(config)
"""


@pytest.fixture(scope="module")
def server() -> Iterator[SandboxServer]:
    with SandboxServer(Options(execute=False)) as server:
        yield server


def run(server: SandboxServer, home: Path, script: str) -> str:
    """Run a script as a user of the sandbox would; what it printed. Fails with its errors where it fails."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "TRACKIO_"))}
    env |= {"HF_ENDPOINT": server.url, "HF_TOKEN": "hf_sandbox", "HF_HOME": str(home), "TMPDIR": str(home)}
    env |= {"HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_UPDATE_CHECK": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", script], env=env, cwd=home, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def files(server: SandboxServer, kind: str, repo_id: str) -> set[str]:
    return set(server.core.hub.repo(kind, repo_id).head.tree) - {".gitattributes"}


def test_xet_is_on() -> None:
    assert importlib.util.find_spec("hf_xet")
    assert "HF_HUB_DISABLE_XET" not in os.environ


def test_tokenizer_and_config(server: SandboxServer, tmp_path: Path) -> None:
    script = f"""{TOKENIZER}
from transformers import AutoConfig, AutoTokenizer, LlamaConfig
LlamaConfig(hidden_size=16, num_attention_heads=2).push_to_hub("acme/tokens")
tokenizer.push_to_hub("acme/tokens", commit_message="the words")
print(AutoConfig.from_pretrained("acme/tokens").hidden_size)
again = AutoTokenizer.from_pretrained("acme/tokens")
print(again("red blue purple")["input_ids"], again.pad_token)
"""
    assert run(server, tmp_path, script).splitlines() == ["16", "[4, 6, 1] [PAD]"]
    assert files(server, "model", "acme/tokens") >= {
        "README.md",
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    assert server.core.hub.repo("model", "acme/tokens").head.title == "the words"


def test_data_sets(server: SandboxServer, tmp_path: Path) -> None:
    script = """
import json
from datasets import Dataset, load_dataset
from huggingface_hub import HfApi
Dataset.from_dict({"text": ["red", "green"], "n": [1, 2]}).push_to_hub("acme/colours")
Dataset.from_dict({"text": ["blue"], "n": [3]}).push_to_hub("acme/colours", split="test", private=True)
both = load_dataset("acme/colours")
print(both.num_rows, both["train"][1], both["test"][0])
print(list(load_dataset("acme/colours", split="test", streaming=True)))
api = HfApi()
api.create_repo("acme/lines", repo_type="dataset")
lines = "".join(json.dumps({"messages": [{"role": "user", "content": str(n)}]}) + chr(10) for n in range(50))
api.upload_file(path_or_fileobj=lines.encode(), path_in_repo="train.jsonl", repo_id="acme/lines", repo_type="dataset")
rows = load_dataset("acme/lines", split="train")
print(len(rows), rows[49])
print(next(iter(load_dataset("acme/lines", split="train", streaming=True))))
try:
    load_dataset("acme/never-made")
except Exception as error:
    print(type(error).__name__)
"""
    assert run(server, tmp_path, script).splitlines() == [
        "{'train': 2, 'test': 1} {'text': 'green', 'n': 2} {'text': 'blue', 'n': 3}",
        "[{'text': 'blue', 'n': 3}]",
        "50 {'messages': [{'role': 'user', 'content': '49'}]}",
        "{'messages': [{'role': 'user', 'content': '0'}]}",
        "DatasetNotFoundError",
    ]
    pushed = files(server, "dataset", "acme/colours")
    assert {path.split("/")[0] for path in pushed} == {"README.md", "data"}
    assert sum(path.endswith(".parquet") for path in pushed) == 2


@pytest.mark.skipif(not importlib.util.find_spec("torch"), reason="torch is not part of requirements/clients.in")
def test_models(server: SandboxServer, tmp_path: Path) -> None:
    script = f"""{MODEL}
import torch
from transformers import AutoModelForCausalLM
model.push_to_hub("acme/tiny")
again = AutoModelForCausalLM.from_pretrained("acme/tiny")
print(all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True)))
print(sum(p.numel() for p in model.parameters()))
from huggingface_hub import HfApi
print(HfApi().model_info("acme/tiny").safetensors.total)
"""
    same, count, told = run(server, tmp_path, script).splitlines()
    assert same == "True"
    assert count == told
    assert "model.safetensors" in files(server, "model", "acme/tiny")


@pytest.mark.skipif(not importlib.util.find_spec("trl"), reason="trl is not part of requirements/clients.in")
def test_training_pushes_its_model(server: SandboxServer, tmp_path: Path) -> None:
    script = f"""{TOKENIZER}{MODEL}
model.push_to_hub("acme/base")
tokenizer.push_to_hub("acme/base")
from datasets import Dataset, load_dataset
Dataset.from_dict({{"text": ["red green blue"] * 16}}).push_to_hub("acme/sentences")
from trl import SFTConfig, SFTTrainer
arguments = SFTConfig(
    output_dir="out", push_to_hub=True, hub_model_id="acme/trained", max_steps=4, save_steps=2, use_cpu=True,
    report_to="none", per_device_train_batch_size=2, max_length=8, bf16=False,
)
trainer = SFTTrainer(model="acme/base", args=arguments, train_dataset=load_dataset("acme/sentences", split="train"))
trainer.train()
trainer.save_model()
trainer.push_to_hub(dataset_name="acme/sentences")
from transformers import AutoModelForCausalLM
print(AutoModelForCausalLM.from_pretrained("acme/trained").config.vocab_size)
"""
    assert run(server, tmp_path, script).splitlines()[-1] == "7"
    trained = server.core.hub.repo("model", "acme/trained")
    assert files(server, "model", "acme/trained") >= {"README.md", "config.json", "model.safetensors", "tokenizer.json"}
    assert len(list(trained.head.history())) > 2
