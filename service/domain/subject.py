"""What can be asked of the Hub, and which fact answers it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from service.domain.facts import AccountFact, DatasetFact, JobsFact, ModelFact, MountFact

Fact = ModelFact | DatasetFact | MountFact | AccountFact | JobsFact


class Kind(StrEnum):
    """What a subject is."""

    MODEL = "model"
    DATASET = "dataset"
    TEMPLATE = "template"  # a model again, of which only the chat template is wanted
    MOUNT = "mount"
    JOB_ACCOUNT = "job_account"
    JOBS = "jobs"


FACTS: Mapping[Kind, type[Fact]] = {
    Kind.MODEL: ModelFact,
    Kind.DATASET: DatasetFact,
    Kind.TEMPLATE: ModelFact,
    Kind.MOUNT: MountFact,
    Kind.JOB_ACCOUNT: AccountFact,
    Kind.JOBS: JobsFact,
}


@dataclass(frozen=True)
class Subject:
    """One thing. `id` is a repository or a namespace, for a mount with its type before it; there is only one account of
    the jobs."""

    kind: Kind
    id: str = ""
    revision: str = ""
    path: str = ""

    @property
    def name(self) -> str:
        """Its key, unique among all subjects."""
        at = f"@{self.revision}" if self.revision else ""
        return f"{self.kind}:{self.id}{at}" + (f":{self.path}" if self.path else "")


def fact_from_json(kind: Kind, value: Mapping[str, Any]) -> Fact:
    """A fact as it was stored."""
    return FACTS[kind].model_validate(value)
