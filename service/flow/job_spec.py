"""What an attempt's job is made of: image, command, environment, secrets, labels, volumes."""

from __future__ import annotations

from service.domain import gpus, job, recipe
from service.domain.pins import pinned_volumes
from service.domain.secret_ref import JOB_TOKEN
from service.domain.volume import Volume
from service.flow import callback, saving
from service.flow.gate import Gate
from service.flow.run_secrets import values_of
from service.hub.client import HubClient
from service.store import flavors
from service.store.tables import Attempt, Run


def spec_of(gate: Gate, hub: HubClient, run: Run, attempt: Attempt, prepared: saving.Prepared) -> job.JobSpec:
    """What the create call of an attempt asks for. Raises SecretsLost, and HubUnavailable."""
    train = recipe.read(run.recipe)
    secrets = values_of(gate, run) | {name: hub.job_token for name, ref in run.secret_refs.items() if ref == JOB_TOKEN}
    return job.JobSpec(
        image=run.image or job.IMAGE,
        command=job.command(train, run.output_repo, _gpus(gate, attempt.flavor), run.pins or {}, prepared.saving),
        flavor=attempt.flavor,
        timeout_seconds=attempt.timeout_seconds,
        environment=job.environment(train, run.env, run.id, run.output_repo, prepared.saving),
        secrets={**secrets, **callback.secrets_for(gate, run, attempt), "HF_TOKEN": hub.job_token},
        labels=job.labels(run.id, attempt.attempt, attempt.submission, gate.installation, run.team, run.labels),
        volumes=(
            *pinned_volumes([Volume.model_validate(one) for one in run.volumes], run.pins or {}),
            *(() if prepared.saving is None else (prepared.saving.volume,)),
        ),
        resource_group=run.resource_group,
    )


def _gpus(gate: Gate, flavor: str) -> int:
    with gate.db.read() as session:
        return gpus.count(flavors.hardware(session, flavor))
