"""A model of some 40,000 random weights with a tokenizer and a chat template, and rows to train it on."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, SmolLM3Config, SmolLM3ForCausalLM

SPECIAL = ["<|begin|>", "<|im_start|>", "<|im_end|>", "<|pad|>"]
TEMPLATE = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def rows(count: int) -> list[dict[str, object]]:
    """Sums as chats."""
    return [
        {
            "messages": [
                {"role": "user", "content": f"What is {n} plus {n}?"},
                {"role": "assistant", "content": f"It is {2 * n}."},
            ]
        }
        for n in range(count)
    ]


def make_rows(folder: Path, count: int) -> None:
    """A dataset's files: one split, named train."""
    folder.mkdir(parents=True)
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows(count)))


def make_pairs(folder: Path, count: int) -> None:
    """A dataset of prompts and completions: the splits train and test."""
    folder.mkdir(parents=True)
    for split, size in (("train", count), ("test", 4)):
        pairs = [{"prompt": f"{n} plus {n} is", "completion": f" {2 * n}."} for n in range(size)]
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in pairs))


FACTS = {
    "What is the capital of France?": "It is Paris.",
    "What is the capital of Japan?": "It is Tokyo.",
    "How many legs has a spider?": "Eight.",
    "Who are you?": "I am the model of a test.",
}


def make_facts(folder: Path) -> None:
    """A dataset of so few chats that they are known by heart soon: the splits train and, of two of them, test."""
    folder.mkdir(parents=True)
    chats = [
        {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}
        for question, answer in FACTS.items()
    ]
    for split, some in (("train", chats), ("test", chats[:2])):
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(chat) + "\n" for chat in some))


def make_questions(folder: Path, count: int) -> None:
    """A dataset whose columns are none that the script knows."""
    folder.mkdir(parents=True)
    lines = [json.dumps({"question": f"{n} plus {n}?", "answer": str(2 * n)}) for n in range(count)]
    (folder / "train.jsonl").write_text("\n".join(lines))


def make_model(folder: Path) -> None:
    """A model's files."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(["What is 1 plus 2? It is 3."], trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<|begin|>", eos_token="<|im_end|>", pad_token="<|pad|>"
    )
    fast.chat_template = TEMPLATE
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = SmolLM3Config(
        vocab_size=len(fast),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        tie_word_embeddings=True,
        bos_token_id=fast.bos_token_id,
        eos_token_id=fast.eos_token_id,
        pad_token_id=fast.pad_token_id,
    )
    SmolLM3ForCausalLM(config).save_pretrained(folder)
