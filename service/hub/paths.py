"""Paths of the Hub. Namespace, id and repository come from outside: "../" in them would reach other endpoints by the
token."""

from __future__ import annotations

import re
from urllib.parse import quote

from huggingface_hub.utils import validate_repo_id

from service.hub.faults import HubRefused

NAMESPACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
JOB_ID = re.compile(r"[0-9A-Za-z]{1,64}")


def jobs_path(namespace: str) -> str:
    """All jobs of a namespace. Raises HubRefused for what is no namespace."""
    if not NAMESPACE.fullmatch(namespace) or ".." in namespace:
        raise HubRefused(f"'{namespace}' is no namespace")
    return f"/api/jobs/{namespace}"


def job_path(namespace: str, job_id: str) -> str:
    """One job. Raises HubRefused for what is no job id."""
    if not JOB_ID.fullmatch(job_id):
        raise HubRefused(f"'{job_id}' is no job id")
    return f"{jobs_path(namespace)}/{job_id}"


def model_path(repo: str, revision: str | None) -> str:
    """A model's repository with its files, at its head where no revision is named. Raises ValueError for no name."""
    validate_repo_id(repo)
    at = "" if revision is None else f"/revision/{quote(revision, safe='')}"
    return f"/api/models/{repo}{at}?blobs=true"
