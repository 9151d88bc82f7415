"""What is said of each cause: a sentence for its user, what to do, and whether to try again. A signature that knows
more has a remedy of its own."""

from __future__ import annotations

from dataclasses import dataclass

from service.domain.diagnosis.retry import Retry
from service.domain.run import Reason


@dataclass(frozen=True)
class Advice:
    """The words for a cause."""

    message: str
    remedy: str
    retry: Retry


SAME, CHANGED, NEVER = Retry.SAME, Retry.CHANGED, Retry.NEVER

ADVICE: dict[Reason, Advice] = {
    Reason.CUDA_OOM: Advice(
        "The GPU's memory did not suffice.",
        "Halve per_device_train_batch_size and double gradient_accumulation_steps; if that is not enough, turn on "
        "gradient_checkpointing, shorten max_length, train with LoRA, or take a flavor with more GPU memory.",
        CHANGED,
    ),
    Reason.HOST_OOM: Advice(
        "The machine's main memory did not suffice.",
        "Stream the dataset or map it with fewer processes, lower dataloader_num_workers, or take a flavor with m"
        "ore RAM.",
        CHANGED,
    ),
    Reason.DISK_FULL: Advice(
        "The machine's disk was full.",
        "Keep fewer checkpoints (save_total_limit, save_only_model), or take a flavor with a larger disk.",
        CHANGED,
    ),
    Reason.JOB_TIMEOUT: Advice(
        "The job was stopped at its timeout.",
        "Give a longer timeout (and a max_cost_usd that holds it), train fewer steps, or take a faster flavor.",
        CHANGED,
    ),
    Reason.NO_CREDITS: Advice(
        "Hugging Face stopped or refused the job: the namespace has no credit left.",
        "Add credit to the namespace's account, then submit again.",
        NEVER,
    ),
    Reason.SPEND_LIMIT: Advice(
        "Hugging Face stopped the job at the resource group's spending limit.",
        "Raise the limit on the Hub, or wait for its next month.",
        NEVER,
    ),
    Reason.HUB_AUTH: Advice(
        "Hugging Face did not accept the token, or there was none.",
        "The job's token (TUNEGATE_JOB_HF_TOKEN, or the run's secret HF_TOKEN) must be replaced: an admin's task.",
        CHANGED,
    ),
    Reason.HUB_FORBIDDEN: Advice(
        "The token may not do that on Hugging Face.",
        "The evidence names what was refused: choose a repository that the job's token may write to, or have its "
        "rights extended.",
        CHANGED,
    ),
    Reason.GATED_MODEL: Advice(
        "The model is gated and the job's token may not read it.",
        "Accept the model's licence on its page with the account whose token the jobs get.",
        NEVER,
    ),
    Reason.MODEL_NOT_FOUND: Advice(
        "The model, or a file of it, does not exist, or the job's token may not read it.",
        "Correct the model's id or revision; for a private model the job's token needs to read it.",
        CHANGED,
    ),
    Reason.DATASET_NOT_FOUND: Advice(
        "The dataset does not exist, or the job's token may not read it.",
        "Correct the dataset's id; for a private or gated one the job's token needs access.",
        CHANGED,
    ),
    Reason.DATASET_FORMAT: Advice(
        "The dataset is not of the form that the training needs.",
        "Check its splits and columns: messages, text, or prompt and completion; the evidence names what was missed.",
        CHANGED,
    ),
    Reason.BAD_ARGUMENT: Advice(
        "An argument or setting of the training was refused.",
        "Correct recipe.args (or the script's settings) as the evidence says, and submit again.",
        CHANGED,
    ),
    Reason.MISSING_DEPENDENCY: Advice(
        "A package that the script needs is missing, does not build, or is of a version that does not fit.",
        "Name it, with a version that fits, in the script's PEP 723 header or in recipe.dependencies.",
        CHANGED,
    ),
    Reason.SCRIPT_ERROR: Advice(
        "The script ended with an error of its own.", "Read the evidence and the log, and correct the script.", NEVER
    ),
    Reason.NAN_LOSS: Advice(
        "The loss became NaN or infinite: the weights are of no use.",
        "Lower learning_rate, set max_grad_norm, use bf16 rather than fp16, and look for empty examples in the data.",
        CHANGED,
    ),
    Reason.DIVERGING: Advice(
        "The loss grew and stayed high: the training diverged.",
        "Lower learning_rate (a tenth is a good first try), lengthen the warmup, and check max_grad_norm.",
        CHANGED,
    ),
    Reason.PUSH_FAILED: Advice(
        "Training went well, but the model could not be published.",
        "Check that output_repo exists or may be made, that the job's token may write to it, and that its storage "
        "limit is not reached.",
        CHANGED,
    ),
    Reason.OUTPUT_MISSING: Advice(
        "The job ended well, but output_repo does not hold the whole model that it was to publish.",
        "Push the whole folder of the model to the repo named in TUNEGATE_OUTPUT_REPO before the script ends.",
        NEVER,
    ),
    Reason.HUB_UNAVAILABLE: Advice(
        "Hugging Face could not be reached, or answered with an error of its own.", "Submit again.", SAME
    ),
    Reason.CUDA_ERROR: Advice(
        "The GPU, its driver or a CUDA library failed.",
        "Check that torch and CUDA in the image fit the flavor; an index out of range in the model's inputs shows as a "
        "CUDA error too: run once with CUDA_LAUNCH_BLOCKING=1.",
        CHANGED,
    ),
    Reason.IMAGE_ERROR: Advice(
        "The container's image could not be pulled, or its command could not be started.",
        "Correct the image's name and tag, and the command; the image must be for linux/amd64.",
        CHANGED,
    ),
    Reason.INFRASTRUCTURE: Advice(
        "The machine or its network failed; the run was not at fault.",
        "Submit again.",
        SAME,
    ),
    Reason.STALLED: Advice("The job ran on without making any progress, and was stopped.", "Submit again.", SAME),
    Reason.CANCELLED_OUTSIDE: Advice(
        "The job was cancelled on Hugging Face, not through this service.",
        "Ask who cancelled it, and submit again if it was not meant.",
        NEVER,
    ),
    Reason.JOB_VANISHED: Advice(
        "The job was deleted on Hugging Face after it had been seen there.",
        "What it cost was charged by what was observed; submit again.",
        SAME,
    ),
    Reason.SECRETS_LOST: Advice(
        "The run's secrets are sealed under a key that the service no longer has; no job was made.",
        "Submit again, with the secrets.",
        CHANGED,
    ),
    Reason.UNKNOWN: Advice("The job failed and its log does not say why.", "Read the log.", NEVER),
    Reason.OK: Advice("Nothing failed.", "Nothing to do.", NEVER),
}
