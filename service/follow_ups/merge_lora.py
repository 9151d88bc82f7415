# /// script
# requires-python = ">=3.11"
# dependencies = ["torch", "transformers==5.23.0", "peft==0.21.2", "accelerate==1.15.0"]
# ///
"""Puts an adapter's weights into its base model and publishes the whole, with the tokenizer, in one commit."""

import argparse
import json
import tempfile

import torch
from huggingface_hub import HfApi
from peft import PeftConfig, PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

RESULT = "TUNEGATE_RESULT"


def main() -> None:
    asked = parse()
    trusts = {"trust_remote_code": asked.trust_remote_code}
    place = {"device_map": "auto"} if torch.cuda.is_available() else {}
    config = PeftConfig.from_pretrained(asked.model, revision=asked.revision)
    tokenizer = AutoTokenizer.from_pretrained(asked.model, revision=asked.revision, **trusts)
    print(f"merging {asked.model} into {config.base_model_name_or_path}", flush=True)
    base = AutoModelForCausalLM.from_pretrained(
        config.base_model_name_or_path,
        revision=asked.base_revision or config.revision,
        dtype="auto",
        **place,
        **trusts,
    )
    if len(tokenizer) > base.get_input_embeddings().weight.shape[0]:  # as peft does (auto.py)
        base.resize_token_embeddings(len(tokenizer))
    model = PeftModel.from_pretrained(base, asked.model, revision=asked.revision).merge_and_unload()
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        hub = HfApi()
        hub.create_repo(asked.output_repo, exist_ok=True)
        done = hub.upload_folder(
            repo_id=asked.output_repo, folder_path=folder, commit_message=f"{asked.model}, merged into its base model"
        )
    print(f"published: {done.commit_url}", flush=True)
    told = {
        "repo": asked.output_repo,
        "revision": done.oid,
        "base_model": config.base_model_name_or_path,
        "parameters": model.num_parameters(),
        "dtype": str(model.dtype).removeprefix("torch."),
    }
    print(RESULT, json.dumps(told), flush=True)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--revision")
    parser.add_argument("--adapter", action="store_true")
    parser.add_argument("--base-revision")
    parser.add_argument("--trust-remote-code", action="store_true")
    parser.add_argument("--output-repo", required=True)
    return parser.parse_args()


if __name__ == "__main__":
    main()
