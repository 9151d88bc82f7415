"""What Hugging Face says of a job outranks its log: why it was cancelled, and its status message."""

from __future__ import annotations

import re

from service.domain.run import Reason

CANCEL_REASONS = {
    "NO_CREDITS": Reason.NO_CREDITS,
    "NO_SUBSCRIPTION": Reason.NO_CREDITS,
    "RESOURCE_GROUP_LIMIT": Reason.SPEND_LIMIT,
}

# The first that matches. Seen in public: `Job timeout`, `Job failed with exit code: 137. Reason: OOMKilled`; the others
# are the reasons of the kubelet and the scheduler, which such messages are made of.
MESSAGES = tuple(
    (re.compile(pattern, re.IGNORECASE), cause)
    for pattern, cause in (
        (
            r"unschedulable|schedul\w*? ?(?:has |was |is )?(?:fail|error|time|not |unsuccess)"
            r"|waiting for (?:\w+ )?(?:gpu|hardware|capacity|resources|node)"
            r"|(?:fail\w*|unable|could not|cannot|not) (?:to )?(?:be )?schedul"
            r"|(?:no|insufficient) (?:capacity|nvidia|cpu)",
            Reason.INFRASTRUCTURE,
        ),
        (
            r"ErrImage|ImagePull|InvalidImageName|pull(?:ing)? (?:(?:and unpack|the) )?image|image pull|manifest"
            r"|image\b.{0,30}\bpull|invalid image"
            r"|StartError|ContainerCannotRun|CreateContainer|RunContainer|unable to start container"
            r"|executable file not found|exec format error|image .*not found",
            Reason.IMAGE_ERROR,
        ),
        (r"time[d ]*-?out|DeadlineExceeded|exceeded .*(?:time limit|duration|deadline)", Reason.JOB_TIMEOUT),
        (r"OOM-?Killed|out of memory|memory limit|low on resource: memory", Reason.HOST_OOM),
        (r"ephemeral[- ](?:local )?storage|disk (?:is )?full|no space left|disk pressure", Reason.DISK_FULL),
        (r"credit|payment|billing|subscription", Reason.NO_CREDITS),
        (r"spend(?:ing)? limit|resource group", Reason.SPEND_LIMIT),
        (
            r"evicted|preempt|node ?(?:was|is)? ?(?:lost|shut|not ready|fail|terminat|drain)"
            r"|NodeLost|internal (?:server )?error"
            r"|hardware (?:error|failure)"
            r"|infrastructure",
            Reason.INFRASTRUCTURE,
        ),
        (
            r"stalled|no (?:progress|heartbeat|activity)|heartbeat (?:lost|missed|expired)|unresponsive|hung",
            Reason.STALLED,
        ),
        (r"cancell?ed by|^(?:job )?(?:was )?cancell?ed\.?$", Reason.CANCELLED_OUTSIDE),
    )
)
NOTHING = ("null", "none", "{}")  # how JSON and Python say that there is no reason
EXIT_CODE = re.compile(r"exit(?:ed with)?(?: |-)?code:? (-?\d+)", re.IGNORECASE)

# A process that a signal ended has 128 + its number; the message of a job that timed out says so, as a rule.
EXIT_CODES: dict[int, tuple[Reason, float, str]] = {
    137: (Reason.HOST_OOM, 0.6, "exit code 137: the process was killed (SIGKILL), mostly for want of memory"),
    143: (Reason.JOB_TIMEOUT, 0.5, "exit code 143: the process was asked to end (SIGTERM), mostly at a timeout"),
    139: (Reason.CUDA_ERROR, 0.4, "exit code 139: a native library crashed (SIGSEGV)"),
    135: (Reason.HOST_OOM, 0.4, "exit code 135: bus error, mostly for want of shared memory"),
    134: (Reason.CUDA_ERROR, 0.35, "exit code 134: a native library gave up (SIGABRT)"),
    124: (Reason.JOB_TIMEOUT, 0.7, "exit code 124: the command `timeout` ended the program"),
    130: (Reason.CANCELLED_OUTSIDE, 0.4, "exit code 130: interrupted (SIGINT)"),
    128: (Reason.IMAGE_ERROR, 0.4, "exit code 128: the container did not start"),
    127: (Reason.IMAGE_ERROR, 0.7, "exit code 127: the command is not in the image"),
    126: (Reason.IMAGE_ERROR, 0.7, "exit code 126: the command cannot be executed"),
    125: (Reason.IMAGE_ERROR, 0.5, "exit code 125: the container could not be run"),
}


def said(message: str | None, cancel_reason: str | None) -> tuple[Reason, str] | None:
    """The cause that Hugging Face gives, with its words; None where it gives none. A `cancelReason` may be the bare
    word or a piece of the job's JSON."""
    given = (cancel_reason or "").strip().strip("\"'")
    if given and given.lower() not in NOTHING:
        for word, known in CANCEL_REASONS.items():
            if word in given.upper():
                return known, f"cancelReason: {given}"
    for pattern, cause in MESSAGES:
        if message and pattern.search(message):
            return cause, message
    for pattern, cause in MESSAGES:
        if pattern.search(given.replace("_", " ")):
            return cause, f"cancelReason: {given}"
    return None


def is_cancelled(stage: str, cancel_reason: str | None) -> bool:
    """Whether somebody cancelled the job: by its stage, or, where that is not known, by having a reason for it."""
    has_reason = (cancel_reason or "").strip().strip("\"'").lower() not in ("", *NOTHING)
    return stage in ("CANCELED", "CANCELLED") or (not stage and has_reason)


def exit_code(message: str | None) -> int | None:
    """The exit code in a status message."""
    found = EXIT_CODE.search(message or "")
    return int(found[1]) if found else None


def as_shells_say(code: int | None) -> int:
    """A signal's exit code as 128 + its number, whether it was given so, as its negative, or as that in eight bits; 0
    for none."""
    if code is None:
        return 0
    if 240 < code < 256:
        code -= 256
    return 128 - code if code < 0 else code
