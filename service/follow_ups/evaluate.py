# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "torch", "trl==1.16.0", "transformers==5.23.0", "peft==0.21.2", "datasets==5.2.0", "accelerate==1.15.0",
# ]
# ///
"""The loss of a model on the rows of a split, by TRL's own trainer: the number that a training's evaluation tells."""

import argparse
import json
import math
import sys

import torch
from datasets import load_dataset
from peft import PeftConfig, PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig, SFTTrainer

RESULT = "TUNEGATE_RESULT"


def main() -> None:
    asked = parse()
    tokenizer, model = load(asked)
    rows = load_dataset(asked.dataset, asked.dataset_config, revision=asked.dataset_revision, split=asked.split)
    has_gpu = torch.cuda.is_available()
    config = SFTConfig(
        output_dir="evaluation",
        per_device_eval_batch_size=asked.batch_size,
        report_to="none",
        use_cpu=not has_gpu,
        bf16=has_gpu and torch.cuda.get_device_capability()[0] >= 8,
        gradient_checkpointing=False,
        **json.loads(asked.settings),
    )
    # the trainer wants rows to train on; none is trained on
    trainer = SFTTrainer(model=model, args=config, train_dataset=rows, eval_dataset=rows, processing_class=tokenizer)
    loss = trainer.evaluate()["eval_loss"]
    failed = None if math.isfinite(loss) else f"evaluation: the loss on {asked.split} is {loss}"
    told = {
        "dataset": asked.dataset,
        "split": asked.split,
        "rows": len(rows),
        "eval_loss": loss if failed is None else None,
        "perplexity": math.exp(loss) if failed is None and loss < 700 else None,
        "failed": failed,
    }
    print(RESULT, json.dumps(told), flush=True)
    if failed is not None:
        sys.exit(failed)


def load(asked):
    given = {"dtype": "auto", "trust_remote_code": asked.trust_remote_code}
    if torch.cuda.is_available():
        given["device_map"] = "auto"
    tokenizer = AutoTokenizer.from_pretrained(
        asked.model, revision=asked.revision, trust_remote_code=asked.trust_remote_code
    )
    if not asked.adapter:
        return tokenizer, AutoModelForCausalLM.from_pretrained(asked.model, revision=asked.revision, **given)
    config = PeftConfig.from_pretrained(asked.model, revision=asked.revision)
    base = AutoModelForCausalLM.from_pretrained(
        config.base_model_name_or_path, revision=asked.base_revision or config.revision, **given
    )
    if len(tokenizer) > base.get_input_embeddings().weight.shape[0]:  # as peft does (auto.py)
        base.resize_token_embeddings(len(tokenizer))
    return tokenizer, PeftModel.from_pretrained(base, asked.model, revision=asked.revision)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--revision")
    parser.add_argument("--adapter", action="store_true")
    parser.add_argument("--base-revision")
    parser.add_argument("--trust-remote-code", action="store_true")
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--dataset-config")
    parser.add_argument("--dataset-revision")
    parser.add_argument("--split", default="test")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--settings", default="{}", help="fields of SFTConfig, as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
