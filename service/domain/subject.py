"""What can be asked of the Hub, and which fact answers it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from service.domain.facts import AccountFact, DatasetFact, JobsFact, ModelFact

Fact = ModelFact | DatasetFact | AccountFact | JobsFact


class Kind(StrEnum):
    """What a subject is."""

    MODEL = "model"
    DATASET = "dataset"
    JOB_ACCOUNT = "job_account"
    JOBS = "jobs"


FACTS: Mapping[Kind, type[Fact]] = {
    Kind.MODEL: ModelFact,
    Kind.DATASET: DatasetFact,
    Kind.JOB_ACCOUNT: AccountFact,
    Kind.JOBS: JobsFact,
}


@dataclass(frozen=True)
class Subject:
    """One thing. `id` is a repository or a namespace; for the jobs' account there is only one."""

    kind: Kind
    id: str = ""
    revision: str = ""

    @property
    def name(self) -> str:
        """Its key, unique among all subjects."""
        return f"{self.kind}:{self.id}" + (f"@{self.revision}" if self.revision else "")


def fact_from_json(kind: Kind, value: Mapping[str, Any]) -> Fact:
    """A fact as it was stored."""
    return FACTS[kind].model_validate(value)
