# /// script
# requires-python = ">=3.11"
# dependencies = ["torch", "transformers==5.23.0", "peft==0.21.2", "accelerate==1.15.0"]
# ///
"""Loads a model and answers prompts, each by itself: greedy, with the chat template where there is one.

It fails where an answer is empty, or where half of one is the same few tokens again and again.
"""

import argparse
import json
import sys
from collections.abc import Sequence

RESULT = "TUNEGATE_RESULT"
# So many times in a row, and half of the answer: a list may begin its lines alike, and a song has a refrain.
REPEATS = 4
LONGEST = 16
SHOWN = 4000  # characters of an answer


def main() -> None:
    asked = parse()
    tokenizer, model = load(asked)
    answers = [answer(tokenizer, model, prompt, asked.max_new_tokens) for prompt in asked.prompt]
    wrong = [f"the answer to {one['prompt'][:100]!r} {one['problem']}" for one in answers if one["problem"]]
    failed = None if not wrong else f"smoke test: {'; '.join(wrong)}"[:1000]
    for one in answers:
        print(f"{one['prompt'][:200]!r} -> {one['answer'][:200]!r}", flush=True)
    print(RESULT, json.dumps({"answers": answers, "failed": failed}), flush=True)
    if failed is not None:
        sys.exit(failed)


def load(asked):
    import torch
    from peft import PeftConfig, PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    given = {"dtype": "auto", "trust_remote_code": asked.trust_remote_code}
    if torch.cuda.is_available():
        given["device_map"] = "auto"
    tokenizer = AutoTokenizer.from_pretrained(
        asked.model, revision=asked.revision, trust_remote_code=asked.trust_remote_code
    )
    if not asked.adapter:
        return tokenizer, AutoModelForCausalLM.from_pretrained(asked.model, revision=asked.revision, **given).eval()
    config = PeftConfig.from_pretrained(asked.model, revision=asked.revision)
    base = AutoModelForCausalLM.from_pretrained(
        config.base_model_name_or_path, revision=asked.base_revision or config.revision, **given
    )
    if len(tokenizer) > base.get_input_embeddings().weight.shape[0]:  # as peft does (auto.py)
        base.resize_token_embeddings(len(tokenizer))
    return tokenizer, PeftModel.from_pretrained(base, asked.model, revision=asked.revision).eval()


def answer(tokenizer, model, prompt: str, most: int) -> dict:
    import torch

    if tokenizer.chat_template:
        chat = [{"role": "user", "content": prompt}]
        inputs = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=True, return_tensors="pt")
    else:
        inputs = tokenizer(prompt, return_tensors="pt")
    inputs = {name: inputs[name].to(model.device) for name in ("input_ids", "attention_mask")}
    with torch.no_grad():
        made = model.generate(
            **inputs,
            do_sample=False,
            max_new_tokens=most,
            eos_token_id=ends(tokenizer, model),
            pad_token_id=tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id,
        )
    tokens = made[0, inputs["input_ids"].shape[1] :].tolist()
    text = tokenizer.decode(tokens, skip_special_tokens=True).replace("\0", "\N{REPLACEMENT CHARACTER}")
    plain = [token for token in tokens if token not in set(tokenizer.all_special_ids)]
    return {"prompt": prompt, "answer": text[:SHOWN], "tokens": len(tokens), "problem": problem(plain, text)}


def ends(tokenizer, model) -> list[int] | None:
    """A base model's own end of text is not always the end of a turn that a chat template writes."""
    own = model.generation_config.eos_token_id
    known = {tokenizer.eos_token_id, *(own if isinstance(own, list) else [own])} - {None}
    return sorted(known) or None


def problem(tokens: Sequence[int], text: str) -> str | None:
    """What is wrong with an answer; None where nothing is."""
    if not text.strip():
        return "is empty"
    for size in range(1, LONGEST + 1):
        times = repeated(tokens, size)
        if times >= REPEATS and times * size * 2 >= len(tokens):
            what = "one token" if size == 1 else f"the same {size} tokens"
            return f"is garbage: {what} {times} times in a row, {text.strip()[:60]!r}"
    return None


def repeated(tokens: Sequence[int], size: int) -> int:
    """How often the same tokens, so many, come in a row at the most."""
    most = run = 0
    for at in range(size, len(tokens)):
        run = run + 1 if tokens[at] == tokens[at - size] else 0
        most = max(most, run // size + 1)
    return most


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--revision")
    parser.add_argument("--adapter", action="store_true")
    parser.add_argument("--base-revision")
    parser.add_argument("--trust-remote-code", action="store_true")
    parser.add_argument("--prompt", action="append", required=True)
    parser.add_argument("--max-new-tokens", type=int, default=64)
    return parser.parse_args()


if __name__ == "__main__":
    main()
