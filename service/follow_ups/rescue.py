# /// script
# requires-python = ">=3.11"
# dependencies = ["huggingface_hub==2.4.0"]
# ///
"""Publishes what a training left in a mounted folder: the model itself, without what only another training needs."""

import argparse
from pathlib import Path

from huggingface_hub import HfApi

# transformers 5.23, trainer.py: what it writes to go on from, and folders of its own
STATE = ["checkpoint-*", "optimizer*", "scheduler*", "scaler*", "rng_state*", "trainer_state.json", "runs/*", "*.log"]


def main() -> None:
    asked = parse()
    folder = Path(asked.folder)
    print(f"{folder} holds {', '.join(sorted(one.name for one in folder.iterdir()))}", flush=True)
    hub = HfApi()
    hub.create_repo(asked.output_repo, private=asked.private, exist_ok=True)
    commit = hub.upload_folder(
        repo_id=asked.output_repo, folder_path=folder, ignore_patterns=STATE, commit_message=asked.message
    )
    print(f"Model pushed to the Hub in {commit.commit_url}", flush=True)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", required=True)
    parser.add_argument("--output-repo", required=True)
    parser.add_argument("--message", required=True)
    parser.add_argument("--private", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
