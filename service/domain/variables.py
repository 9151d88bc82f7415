"""A run's variables, in clear (`env`) and secret (`secrets`): which names and values a job can be given, and which
would break it, or show a secret to everybody.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from service.domain.errors import BrokenRule, SecretInText

# Hugging Face's own rules for a job's variables (Hub OpenAPI, 2026-08): a job that breaks one is refused whole, so they
# are kept here, before anything waits or costs.
ENV_NAME = re.compile(r"[a-zA-Z][_a-zA-Z0-9]+")
SECRET_NAME = re.compile(r"[a-zA-Z][_a-zA-Z0-9]*")
MAX_VALUE_BYTES = 64 * 1024

# By whom a name is set already; the first that fits is told.
TAKEN = (
    (
        re.compile(r"HF_TOKEN|HUGGING_?FACE_HUB_TOKEN|HF_HUB_TOKEN|HF_ENDPOINT"),
        "the job gets the service's own address and token of the Hub",
        "Leave it out; what the token may read and write is the operator's to grant.",
    ),
    (
        re.compile(r"TUNEGATE_.*|JOB_ID|ACCELERATOR|CPU_CORES|MEMORY"),
        "it is set by the service or by Hugging Face",
        "Choose another name.",
    ),
    (
        re.compile(r"LD_.*|DYLD_.*|PATH|HOME|IFS|BASH_ENV|BASHOPTS|SHELLOPTS|PYTHONPATH|PYTHONHOME|PYTHONSTARTUP"),
        "it would change what runs before the recipe does: the image's shell, uv and Python",
        "Leave it out; a script can set it for what it starts, and put folders on sys.path.",
    ),
    (
        re.compile(r"(LOCAL_|GROUP_)?RANK|(LOCAL_)?WORLD_SIZE|MASTER_(ADDR|PORT)"),
        "it is the launcher's: with it, a training waits for processes that nobody started",
        "Leave it out; the flavor says how many GPUs there are.",
    ),
    (
        re.compile(r"(CUDA|NVIDIA)_VISIBLE_DEVICES"),
        "it would hide GPUs that are paid for from the launcher",
        "Leave it out; a script can set it for what it starts.",
    ),
)
OFFLINE = re.compile(r"(HF_HUB|TRANSFORMERS|HF_DATASETS)_OFFLINE")

# Names under which people keep secrets. What may also be a column or a token of a vocabulary (`SORT_KEY`, `PAD_TOKEN`)
# is one only with a value that looks like it.
SECRET = re.compile(
    r"(.*_)?(PASSWORD|PASSWD|PASSPHRASE|SECRET|(API|ACCESS|SECRET|PRIVATE|ACCOUNT|STORAGE|ENCRYPTION|SIGNING|SSH)_?KEY|"
    r"(API|AUTH|ACCESS|BEARER|REFRESH|WRITE|GITHUB|GITLAB|GH|SECRET)_?TOKEN)"
)
MAYBE_SECRET = re.compile(r"(.*_)?(KEY|TOKEN|CREDENTIALS?|PAT|PASS|PWD)")
RANDOM = re.compile(r"(?=.*[0-9])(?=.*[A-Za-z])[A-Za-z0-9+/=_.-]{16,}")
HARMLESS = re.compile(r"(?i)|true|false|yes|no|on|off|none|null|-?\d{1,6}|/.*|<.*>")
# What a shell, a workflow or a person was to fill in, and did not.
UNFILLED = re.compile(
    r"\$[A-Za-z_]\w*|\$\{\{?.*\}|\$\(.*\)|\{\{.*\}\}|<[^<>]*>|(?i:your[-_ ].*|x{4,}|changeme|todo)|\.\.\.|…"
)


def check_env(env: Mapping[str, str]) -> None:
    """Raise BrokenRule for a variable in clear that a job is not given."""
    for name, value in env.items():
        _check_name(name, ENV_NAME, "a letter, then at least one letter, digit or underscore")
        _check_size(name, value)
        if HARMLESS.fullmatch(value):
            continue
        upper = name.upper()
        if SECRET.fullmatch(upper) or (MAYBE_SECRET.fullmatch(upper) and RANDOM.fullmatch(value)):
            raise BrokenRule(
                "this is the name of a secret, and env is shown to everybody who may read the namespace",
                "Send it in 'secrets', under the same name: the job finds it in its environment all the same.",
                at=name,
                kind=SecretInText,
            )


def check_secrets(secrets: Mapping[str, str | None]) -> None:
    """Raise BrokenRule for a secret that a job is not given, in words that hold no part of its value. None: the value
    is kept elsewhere."""
    for name, value in secrets.items():
        _check_name(name, SECRET_NAME, "a letter, then letters, digits and underscores")
        if value is not None:
            check_secret_value(value, name)


def check_secret_value(value: str, at: str | None = None) -> None:
    """Raise BrokenRule for a value that can be no secret, in words that hold no part of it."""
    _check_size(at, value)
    if not value.strip():
        raise BrokenRule("the secret is empty", "Send its value, or leave it out.", at=at)
    if UNFILLED.fullmatch(value.strip()):
        raise BrokenRule("this stands where a secret was to be filled in", "Send the secret's own value.", at=at)
    if "\n" not in value.strip() and value != value.strip():
        raise BrokenRule(
            "the secret begins or ends with blanks or a line break, and no header can carry it so",
            "Send it without them: a file's last line break is not part of it.",
            at=at,
        )


def goes_offline(env: Mapping[str, str]) -> str | None:
    """The variable that keeps a job from the Hub; None where none does."""
    on = (
        name for name, value in env.items() if OFFLINE.fullmatch(name) and value.lower() in ("1", "true", "yes", "on")
    )
    return next(on, None)


def _check_name(name: str, form: re.Pattern[str], rule: str) -> None:
    if not form.fullmatch(name):
        raise BrokenRule(f"'{name[:100]}': a variable's name is {rule}", "Rename it.", at=name or None)
    for taken, why, remedy in TAKEN:
        if taken.fullmatch(name.upper()):
            raise BrokenRule(f"'{name}' cannot be set: {why}", remedy, at=name)


def _check_size(name: str | None, value: str) -> None:
    if len(value.encode()) > MAX_VALUE_BYTES:
        raise BrokenRule(f"a value has at most {MAX_VALUE_BYTES} bytes", "Send less; files come by 'volumes'.", at=name)
