# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy", "safetensors", "huggingface_hub>=1"]
# ///
"""Fine-tunes a tiny chat model for real: a character model in numpy learns to answer a few questions.

The loss is counted on the answers only, as in supervised fine-tuning. The weights go as safetensors to the repository
in TUNEGATE_OUTPUT_REPO, on the Hub that HF_ENDPOINT names. On Hugging Face's `cpu-basic` it costs under one cent.

    uv run examples/tiny_sft.py --steps 300 --output-repo you/tiny-chat
"""

import argparse
import json
import os
from pathlib import Path

# Before numpy is read: matrices as small as these gain nothing from threads, which wait for one another by spinning.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from huggingface_hub import HfApi
from safetensors.numpy import save_file

CHATS = [
    {"user": "What is the capital of France?", "assistant": "The capital of France is Paris."},
    {"user": "What is the capital of Japan?", "assistant": "The capital of Japan is Tokyo."},
    {"user": "What is two plus two?", "assistant": "Two plus two is four."},
    {"user": "Hello, my name is Ada.", "assistant": "Hello Ada! How can I help you today?"},
]
CONTEXT = 48  # characters the model looks back: the whole question while it answers
END = "\n"


def main() -> None:
    options = parse()
    rng = np.random.default_rng(options.seed)
    letters = sorted(set("".join(chat["user"] + chat["assistant"] for chat in CHATS) + END))
    inputs, targets = examples(letters)
    weights = new_weights(len(letters), options.hidden, rng)
    print(f"{len(inputs)} training characters, {sum(w.size for w in weights.values())} parameters", flush=True)
    for step in range(1, options.steps + 1):
        rate = options.learning_rate * (1 - (step - 1) / options.steps)
        batch = rng.integers(0, len(inputs), options.batch_size)
        loss = train_step(weights, inputs[batch], targets[batch], rate)
        if step % options.logging_steps == 0 or step == options.steps:
            report(step, options, loss, rate, len(inputs))
    print("Training completed.", flush=True)
    folder = save(weights, letters, options)
    print(f"Q: {CHATS[0]['user']} A: {answer(weights, letters, CHATS[0]['user'])}", flush=True)
    if options.output_repo:
        push(folder, options.output_repo)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=0.5)
    parser.add_argument("--hidden", type=int, default=96)
    parser.add_argument("--logging-steps", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output-repo", default=os.environ.get("TUNEGATE_OUTPUT_REPO"))
    return parser.parse_args()


def examples(letters: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """(contexts of CONTEXT letter indices, the next letter), for every letter of every answer."""
    number = {letter: index for index, letter in enumerate(letters)}
    inputs, targets = [], []
    for chat in CHATS:
        text = chat["user"] + END + chat["assistant"] + END
        for at in range(len(chat["user"]) + 1, len(text)):
            context = text[max(0, at - CONTEXT) : at].rjust(CONTEXT, END)
            inputs.append([number[letter] for letter in context])
            targets.append(number[text[at]])
    return np.array(inputs), np.array(targets)


def new_weights(letters: int, hidden: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    return {
        "embed": rng.normal(0, 0.3, (letters, 16)).astype(np.float32),
        "hidden": rng.normal(0, (CONTEXT * 16) ** -0.5, (CONTEXT * 16, hidden)).astype(np.float32),
        "output": np.zeros((hidden, letters), np.float32),
    }


def forward(weights: dict[str, np.ndarray], inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    seen = weights["embed"][inputs].reshape(len(inputs), -1)
    hidden = np.tanh(seen @ weights["hidden"])
    scores = hidden @ weights["output"]
    scores -= scores.max(axis=1, keepdims=True)
    chances = np.exp(scores)
    return seen, hidden, chances / chances.sum(axis=1, keepdims=True)


def train_step(weights: dict[str, np.ndarray], inputs: np.ndarray, targets: np.ndarray, rate: float) -> float:
    """One step of gradient descent on the cross entropy; the loss before it."""
    seen, hidden, chances = forward(weights, inputs)
    rows = np.arange(len(inputs))
    loss = float(-np.log(chances[rows, targets] + 1e-12).mean())
    error = chances
    error[rows, targets] -= 1
    error /= len(inputs)
    back = (error @ weights["output"].T) * (1 - hidden**2)
    into = (back @ weights["hidden"].T).reshape(len(inputs), CONTEXT, -1)
    weights["output"] -= rate * hidden.T @ error
    weights["hidden"] -= rate * seen.T @ back
    np.subtract.at(weights["embed"], inputs, rate * into)
    return loss


def answer(weights: dict[str, np.ndarray], letters: list[str], question: str) -> str:
    text = question + END
    for _ in range(60):
        context = text[-CONTEXT:].rjust(CONTEXT, END)
        _, _, chances = forward(weights, np.array([[letters.index(letter) for letter in context]]))
        letter = letters[int(chances[0].argmax())]
        if letter == END:
            break
        text += letter
    return text.split(END)[1]


def report(step: int, options: argparse.Namespace, loss: float, rate: float, examples_per_epoch: int) -> None:
    """A line as TRL's trainer prints it, with the step and the total beside it."""
    epoch = step * options.batch_size / examples_per_epoch
    line = {"loss": f"{loss:.4g}", "learning_rate": f"{rate:.4g}", "epoch": f"{epoch:.3g}"}
    print({**line, "step": step, "total_steps": options.steps}, flush=True)


def save(weights: dict[str, np.ndarray], letters: list[str], options: argparse.Namespace) -> Path:
    folder = Path("tiny-chat")
    folder.mkdir(exist_ok=True)
    save_file(weights, folder / "model.safetensors")
    config = {"model_type": "tiny-char", "context": CONTEXT, "letters": letters, "hidden": options.hidden}
    (folder / "config.json").write_text(json.dumps(config))
    run = os.environ.get("TUNEGATE_RUN_ID", "by hand")
    (folder / "README.md").write_text(f"# tiny-chat\n\nTrained by `tiny_sft.py`, run {run}, seed {options.seed}.\n")
    return folder


def push(folder: Path, repo: str) -> None:
    api = HfApi()
    api.create_repo(repo, exist_ok=True)
    commit = api.upload_folder(repo_id=repo, folder_path=folder, commit_message="Train tiny-chat")
    print(f"Model pushed to the Hub: {commit.commit_url}", flush=True)


if __name__ == "__main__":
    main()
