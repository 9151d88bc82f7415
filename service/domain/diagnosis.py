"""Why a job failed: one cause, the line that shows it, and what to do about it.

What Hugging Face says outranks the log (`cancelReason`, `Job timeout`, `OOMKilled`); in the log the first matching
line wins, as later errors are mostly consequences. Each signature is a regular expression with its source's wording.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from service.domain.run import Reason


@dataclass(frozen=True)
class Failure:
    """A diagnosis. `retryable`: whether the same run, unchanged, may well succeed."""

    cause: Reason
    message: str
    evidence: str | None
    remedy: str
    retryable: bool = False

    def as_json(self) -> dict[str, Any]:
        """The `failure` member of the run object."""
        return {
            "cause": self.cause.value,
            "message": self.message,
            "evidence": self.evidence,
            "remedy": self.remedy,
            "retryable": self.retryable,
        }


@dataclass(frozen=True)
class Signature:
    """A line that gives a cause away."""

    cause: Reason
    pattern: re.Pattern[str]


def _signature(cause: Reason, pattern: str) -> Signature:
    return Signature(cause, re.compile(pattern))


SIGNATURES = (
    # torch c10/cuda/CUDACachingAllocator.cpp; torch < 2.5 says torch.cuda.OutOfMemoryError
    _signature(Reason.CUDA_OOM, r"torch\.(cuda\.)?OutOfMemoryError|CUDA out of memory"),
    # torch c10/core/impl/alloc_cpu.cpp
    _signature(Reason.HOST_OOM, r"DefaultCPUAllocator: (can't allocate|not enough) memory|^MemoryError"),
    # errno 28, safetensors' Rust error, torch.save's inline_container.cc which does not name the disk
    _signature(Reason.DISK_FULL, r"No space left on device|inline_container\.cc:\d+\] \. unexpected pos"),
    # huggingface_hub errors.py: GatedRepoError; transformers utils/hub.py
    _signature(Reason.GATED_MODEL, r"You are trying to access a gated repo|Access to model .* is restricted"),
    _signature(Reason.MODEL_NOT_FOUND, r"is not a local folder and is not a valid model identifier"),
    # datasets exceptions.py
    _signature(Reason.DATASET_NOT_FOUND, r"DatasetNotFoundError|EmptyDatasetError"),
    # transformers hf_argparser.py; argparse
    _signature(
        Reason.BAD_ARGUMENT,
        r"Some specified arguments are not used by the HfArgumentParser|error: (argument -|unrecognized arguments)",
    ),
    _signature(Reason.MISSING_DEPENDENCY, r"^(ModuleNotFoundError|ImportError): |No solution found when resolving"),
    # huggingface_hub utils/_http.py
    _signature(Reason.HUB_AUTH, r"401 Client Error|Client error '401|Invalid user token|Invalid username or password"),
    _signature(Reason.HUB_FORBIDDEN, r"403 Forbidden|403 Client Error|Client error '403"),
    _signature(Reason.HUB_UNAVAILABLE, r"Server error '5\d\d|50[0234] Server Error"),
    # uv 0.13: the script's address, or the package index, could not be reached
    _signature(
        Reason.INFRASTRUCTURE, r"^error: Request failed after \d+ retries|^\s*cause: error sending request for url"
    ),
    # Python's last line of a traceback
    _signature(Reason.SCRIPT_ERROR, r"^[A-Za-z_][\w.]*(Error|Exception|Interrupt|Exit)(: |$)"),
)

# Trainer's summary line: training had finished when a later step failed.
TRAINED = re.compile(r"'train_runtime'|Training completed")
HUB_CAUSES = frozenset({Reason.HUB_AUTH, Reason.HUB_FORBIDDEN, Reason.HUB_UNAVAILABLE})

ADVICE: dict[Reason, tuple[str, str]] = {
    Reason.JOB_TIMEOUT: (
        "The job was stopped at its timeout.",
        "Give a longer timeout (and a max_cost_usd that holds it), or fewer steps.",
    ),
    Reason.NO_CREDITS: (
        "Hugging Face stopped or refused the job: the namespace has no credit left.",
        "Add credit to the namespace's account, then submit again.",
    ),
    Reason.SPEND_LIMIT: (
        "Hugging Face stopped the job at the resource group's spending limit.",
        "Raise the limit on the Hub, or wait for its next month.",
    ),
    Reason.CUDA_OOM: (
        "The GPU's memory did not suffice.",
        "Halve per_device_train_batch_size and double gradient_accumulation_steps, use LoRA, or take a larger flavor.",
    ),
    Reason.HOST_OOM: (
        "The machine's memory did not suffice.",
        "Take a flavor with more memory, or stream the dataset.",
    ),
    Reason.DISK_FULL: (
        "The machine's disk was full.",
        "Save fewer checkpoints (save_total_limit) or take a larger flavor.",
    ),
    Reason.GATED_MODEL: (
        "The model is gated and the job's token may not read it.",
        "Accept the model's licence with the account whose token the jobs get.",
    ),
    Reason.MODEL_NOT_FOUND: ("The model does not exist, or the job's token may not read it.", "Correct the model id."),
    Reason.DATASET_NOT_FOUND: ("The dataset does not exist, is empty, or may not be read.", "Correct the dataset id."),
    Reason.BAD_ARGUMENT: ("The training script refused an argument.", "Correct recipe.args and submit again."),
    Reason.MISSING_DEPENDENCY: (
        "A Python package that the script needs was not there.",
        "Name it in the script's PEP 723 header or in recipe.dependencies.",
    ),
    Reason.HUB_AUTH: ("Hugging Face did not accept the token.", "The service's tokens need a look: an admin's task."),
    Reason.HUB_FORBIDDEN: (
        "The token may not do that on Hugging Face.",
        "The evidence names what was refused: a repository where the job's token may write, or an admin's task.",
    ),
    Reason.HUB_UNAVAILABLE: ("Hugging Face answered with an error of its own.", "Submit again."),
    Reason.PUSH_FAILED: (
        "Training finished, but the model could not be published.",
        "Check that the job's token may write to output_repo, then submit again.",
    ),
    Reason.INFRASTRUCTURE: (
        "The job could not download what it needs (the script, or packages).",
        "Submit again; in the sandbox, where the address cannot be reached, start it with --url-map URL=PATH.",
    ),
    Reason.SCRIPT_ERROR: ("The script ended with an error.", "Read the evidence and the log, correct the script."),
    Reason.CANCELLED_OUTSIDE: (
        "The job was cancelled on Hugging Face, not through this service.",
        "Ask who cancelled it; submit again.",
    ),
    Reason.JOB_VANISHED: (
        "The job was deleted on Hugging Face after it had been seen there.",
        "What it cost was charged by what was observed; submit again.",
    ),
    Reason.OUTPUT_MISSING: (
        "The job ended well, but output_repo holds nothing new.",
        "Push to the repo named in TUNEGATE_OUTPUT_REPO before the script ends.",
    ),
    Reason.SECRETS_LOST: (
        "The run's secrets are sealed under a key that the service no longer has; no job was made.",
        "Submit again, with the secrets.",
    ),
    Reason.UNKNOWN: ("The job failed and its log does not say why.", "Read the log."),
}

CANCEL_REASONS = {
    "NO_CREDITS": Reason.NO_CREDITS,
    "NO_SUBSCRIPTION": Reason.NO_CREDITS,
    "RESOURCE_GROUP_LIMIT": Reason.SPEND_LIMIT,
}
RETRYABLE = frozenset({Reason.INFRASTRUCTURE, Reason.HUB_UNAVAILABLE, Reason.CANCELLED_OUTSIDE, Reason.JOB_VANISHED})


def diagnose(status_message: str | None, cancel_reason: str | None, lines: Iterable[str]) -> Failure:
    """The cause of a job that ended in ERROR, from HF's status and the log's lines."""
    status = status_message or ""
    if cancel_reason in CANCEL_REASONS:
        return failure(CANCEL_REASONS[cancel_reason], f"cancelReason: {cancel_reason}")
    if "timeout" in status.lower():
        return failure(Reason.JOB_TIMEOUT, status)
    if "OOMKilled" in status:
        return failure(Reason.HOST_OOM, status)
    trained = False
    for line in lines:
        trained = trained or TRAINED.search(line) is not None
        for signature in SIGNATURES:
            if signature.pattern.search(line):
                published = signature.cause in HUB_CAUSES and trained
                return failure(Reason.PUSH_FAILED if published else signature.cause, line)
    return failure(Reason.UNKNOWN, status or None)


def failure(cause: Reason, evidence: str | None = None) -> Failure:
    """A cause with its sentences; `evidence` is clipped to what fits a page."""
    message, remedy = ADVICE[cause]
    return Failure(cause, message, evidence.strip()[:500] if evidence else None, remedy, cause in RETRYABLE)
