"""A job as it was asked for, as the body of a run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from service.domain import leak
from service.domain.errors import Invalid
from service.domain.secret_ref import JOB_TOKEN
from service.doors.hf.job_body import JobBody, JobVolume
from service.doors.hf.recipe import mapped

# Hugging Face's own default (hub-docs, jobs-manage.md). Nobody is told of it there.
DEFAULT_TIMEOUT_SECONDS = 1800
KEY = "tg_"
# Names under which the Hub's libraries look for a token. The job has one as HF_TOKEN, which they all read first.
HUB_TOKENS = frozenset({"HF_TOKEN", "HF_HUB_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HUGGINGFACE_HUB_TOKEN"})
# A job's `name` is a label on the Hub, where a run's job has one of the service's: the caller's is kept under this.
NAME = "name"
NAME_LABEL = "job-name"
# A client that can send no header names its Idempotency-Key here.
KEY_LABEL = "idempotency-key"


@dataclass
class Asked:
    """The body of a run, and what its caller should hear of how it came about."""

    body: dict[str, Any]
    notes: list[str] = field(default_factory=list)


def asked(job: JobBody, namespace: str, own_key: str) -> Asked:
    """What POST /runs would be sent for this job; `own_key` is what the caller showed. Raises Invalid for a secret that
    is more than a key of this service, and holds one."""
    found = mapped(job.dockerImage, [*job.command, *job.arguments])
    notes = list(found.notes)
    if job.timeoutSeconds is None:
        notes.append("No timeout was given: the job is ended after 30 minutes, as on Hugging Face.")
    body = {
        "recipe": found.recipe,
        "image": found.image,
        "output_repo": found.output_repo,
        "flavor": job.flavor,
        "timeout": DEFAULT_TIMEOUT_SECONDS if job.timeoutSeconds is None else job.timeoutSeconds,
        "namespace": namespace,
        "env": job.environment,
        "secrets": _secrets(job.secrets, own_key, notes),
        "labels": {NAME_LABEL if name == NAME else name: value for name, value in job.labels.items()},
        "volumes": [_volume(one) for one in job.volumes],
        "resource_group": job.resourceGroupId,
        "retry": None if job.attempts in (None, 1) else {"max_attempts": job.attempts},
    }
    return Asked({name: value for name, value in body.items() if value is not None}, notes)


def is_own_key(value: str, own_key: str) -> bool:
    """Whether a secret is a key of this service, the caller's or another, and nothing else."""
    return value.strip().startswith(KEY) or (own_key != "" and value.strip() == own_key)


def _secrets(given: dict[str, str], own_key: str, notes: list[str]) -> dict[str, Any]:
    """A client sends the token that it has, and a key of this service is of no use to a job and must not get into one:
    in its place the job finds the token that the team's jobs are given."""
    kept: dict[str, Any] = {}
    for name, value in given.items():
        is_key = is_own_key(value, own_key)
        if is_key:
            notes.append(f"The job gets the team's job token as {name}: keys of Tunegate do not enter jobs.")
        elif any(kind.name == leak.OWN_KEY for kind, _ in leak.tokens(value)) or (own_key and own_key in value):
            raise Invalid(
                "this holds a key of Tunegate, and keys do not enter jobs",
                field=f"secrets.{name}",
                remedy="Send the key alone, which the job's own token then replaces, or take it out.",
            )
        if not is_key:
            kept[name] = value
        elif name not in HUB_TOKENS:
            kept[name] = {"ref": JOB_TOKEN}
    return kept


def _volume(one: JobVolume) -> dict[str, Any]:
    given = {
        "type": one.type,
        "source": one.source,
        "mount_path": one.mountPath,
        "revision": one.revision,
        "read_only": one.readOnly,
        "path": one.path,
    }
    return {name: value for name, value in given.items() if value is not None}
