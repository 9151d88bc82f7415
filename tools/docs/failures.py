"""What is said of causes of failure beside their advice: an example, and what the service does about them."""

from __future__ import annotations

from service.domain.backoff import RETRY_BACKOFF_SECONDS
from service.domain.diagnosis import Seen
from service.domain.diagnosis.advice import ADVICE
from service.domain.diagnosis.retry import Retry
from service.domain.repair.rescue import UNPUBLISHED
from service.domain.run import Reason


def _raised(*lines: str) -> Seen:
    return Seen(
        lines=("Traceback (most recent call last):", '  File "/app/train.py", line 7, in <module>', *lines), exit_code=1
    )


# What a job leaves when it fails of a cause. The classifier has to find the cause in it, or the page is not written.
EXAMPLES: dict[Reason, Seen] = {
    Reason.CUDA_OOM: _raised(
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1.96 GiB. GPU 0 has a total capacity of 22.06 "
        "GiB"
    ),
    Reason.HOST_OOM: Seen(status_message="Job failed with exit code: 137. Reason: OOMKilled", stage="ERROR"),
    Reason.DISK_FULL: _raised("OSError: [Errno 28] No space left on device"),
    Reason.JOB_TIMEOUT: Seen(status_message="Job timeout", stage="ERROR"),
    Reason.NO_CREDITS: Seen(cancel_reason="NO_CREDITS", stage="CANCELED"),
    Reason.SPEND_LIMIT: Seen(cancel_reason="RESOURCE_GROUP_LIMIT", stage="CANCELED"),
    Reason.HUB_AUTH: _raised(
        "huggingface_hub.errors.HfHubHTTPError: 401 Client Error: Unauthorized for url: "
        "https://huggingface.co/api/repos/create",
        "Invalid username or password.",
    ),
    Reason.HUB_FORBIDDEN: _raised(
        "huggingface_hub.errors.HfHubHTTPError: 403 Forbidden: You don't have the rights to create a model under the "
        'namespace "acme".',
    ),
    Reason.GATED_MODEL: _raised(
        "OSError: You are trying to access a gated repo.",
        "Make sure to have access to it at https://huggingface.co/meta-llama/Llama-3.2-1B.",
    ),
    Reason.MODEL_NOT_FOUND: _raised(
        "OSError: acme/smolm3 is not a local folder and is not a valid model identifier listed on "
        "'https://huggingface.co/models'"
    ),
    Reason.DATASET_NOT_FOUND: _raised(
        "datasets.exceptions.DatasetNotFoundError: Dataset 'acme/chts' doesn't exist on the Hub or cannot be accessed."
    ),
    Reason.DATASET_FORMAT: _raised("ValueError: Unknown split \"test\". Should be one of ['train']."),
    Reason.BAD_ARGUMENT: Seen(lines=("train.py: error: unrecognized arguments: --lerning_rate 5e-5",), exit_code=2),
    Reason.MISSING_DEPENDENCY: _raised("ModuleNotFoundError: No module named 'flash_attn'"),
    Reason.SCRIPT_ERROR: _raised("KeyError: 'texts'"),
    Reason.NAN_LOSS: Seen(
        lines=(
            *(f"{{'loss': 'nan', 'grad_norm': 'nan', 'learning_rate': 5e-05, 'epoch': 0.{n}}}" for n in range(1, 9)),
            "{'train_runtime': 61.2, 'train_loss': 'nan', 'epoch': 1.0}",
        ),
        exit_code=0,
        stage="COMPLETED",
    ),
    Reason.DIVERGING: Seen(
        lines=(
            *(f"{{'loss': {1.2 - n / 100:.3f}, 'learning_rate': 0.01, 'epoch': 0.{n:02}}}" for n in range(1, 21)),
            *(f"{{'loss': {8 + n / 10:.3f}, 'learning_rate': 0.01, 'epoch': 0.{n:02}}}" for n in range(21, 61)),
            "{'train_runtime': 61.2, 'train_loss': 7.9, 'epoch': 1.0}",
        ),
        exit_code=0,
        stage="COMPLETED",
    ),
    Reason.CUDA_ERROR: _raised("torch.AcceleratorError: CUDA error: device-side assert triggered"),
    Reason.PUSH_FAILED: Seen(
        lines=(
            "{'train_runtime': 61.2, 'train_loss': 1.1, 'epoch': 1.0}",
            "Traceback (most recent call last):",
            '  File "/app/train.py", line 90, in <module>',
            "    trainer.push_to_hub()",
            "huggingface_hub.errors.HfHubHTTPError: 403 Forbidden: You don't have the rights to create a model under "
            "the "
            'namespace "acme".',
        ),
        exit_code=1,
    ),
    Reason.HUB_UNAVAILABLE: _raised(
        "huggingface_hub.errors.HfHubHTTPError: 503 Server Error: Service Temporarily Unavailable for url: "
        "https://huggingface.co/api/models/acme/base"
    ),
    Reason.IMAGE_ERROR: Seen(status_message="Job failed. Reason: ImagePullBackOff", stage="ERROR"),
    Reason.INFRASTRUCTURE: Seen(status_message="Job failed. Reason: Evicted", stage="ERROR"),
    Reason.STALLED: Seen(status_message="Job stopped: no progress", stage="ERROR"),
    Reason.CANCELLED_OUTSIDE: Seen(stage="CANCELED"),
    Reason.JOB_VANISHED: Seen(stage="DELETED"),
    Reason.UNKNOWN: Seen(lines=("step 1", "step 2"), stage="ERROR", exit_code=1),
}

# What fails a run before a job is made, or by what only the service knows: sentence, remedy.
BY_THE_SERVICE: dict[Reason, tuple[str, str]] = {
    Reason.DOES_NOT_FIT: (
        "By the [estimate](runs.md#what-it-will-need-and-cost), or by what its pilot measured, the flavor's memory or "
        "disk does not hold it; or there is no flavor that `auto` could take.",
        'The remedy names the smallest change that fits. `"force": true` submits it all the same.',
    ),
    Reason.PREFLIGHT_FAILED: (
        "What was looked up cannot work: a model that TRL's SFT does not train, a volume that is not there, or a "
        "timeout below the estimate's p50.",
        "`preflight` on the run shows the check that failed, with its field and remedy.",
    ),
    Reason.EXCEEDS_BUDGET: (
        "The flavor that `auto` took can never fit the budget, however long it waits.",
        "Name a cheaper flavor, a shorter timeout, or have the budget raised.",
    ),
    Reason.EXCEEDS_LIMIT: (
        "The run's `max_cost_usd` does not hold it: the price rose while it waited, its pilot showed that it takes "
        "longer, or the guard `cost` stopped it.",
        "Raise `max_cost_usd`, or shorten what is trained.",
    ),
}


def by_itself(cause: Reason) -> str:
    """What the service does about a failure, with and without the run's `retry`."""
    if cause in BY_THE_SERVICE or cause in (Reason.SECRETS_LOST, Reason.NO_CREDITS, Reason.SPEND_LIMIT):
        return "Holds nothing any more: what was reserved is free, what ran is charged."
    if cause is Reason.CUDA_OOM:
        return (
            "With `retry`, a `trl_sft` run is changed by the first step that is expected to fit and tried again: "
            "[the ladder](repair.md#retries). Without, that step is offered in `failure.repair`, with its price."
        )
    if cause is Reason.JOB_TIMEOUT:
        return (
            "With `retry`, a run that keeps [checkpoints](repair.md#checkpoints) goes on from the newest whole one, "
            "with as much time as the rest takes. Without, that is offered in `failure.repair`."
        )
    if cause in UNPUBLISHED:
        return (
            "Where the model is in the run's bucket still, a child run [publishes it](repair.md#rescue): by itself "
            "with `retry`, else offered in `failure.rescue`."
        )
    if cause is Reason.JOB_VANISHED:
        return "Offers another try in `failure.repair`, and never makes it by itself: the job may go on unseen."
    guard = {Reason.NAN_LOSS: "nan", Reason.DIVERGING: "divergence", Reason.STALLED: "stall"}.get(cause)
    seen = "" if guard is None else f"The [guard](runs.md#guards) `{guard}` sees it while the job runs. "
    if ADVICE[cause].retry is Retry.SAME:
        return seen + (
            f"With `retry`, tries again unchanged after {_pauses()}; from its newest checkpoint, where it keeps some. "
            "Without, that is offered in `failure.repair`."
        )
    return f"{seen}It is not tried again by itself: something has to change first."


def _pauses() -> str:
    *early, last = (f"{one} s" if one < 60 else f"{one // 60} min" for one in RETRY_BACKOFF_SECONDS)
    return f"{', '.join(early)}, then each {last}"
