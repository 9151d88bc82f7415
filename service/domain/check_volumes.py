"""Is there what the job is to mount: the repository, its revision, the folder."""

from __future__ import annotations

from collections.abc import Mapping

from service.domain.facts import MountFact, Outcome
from service.domain.finding import Finding, failed, passed, unknown
from service.domain.run import Reason
from service.domain.subject import Fact, Subject
from service.domain.volume import Volume
from service.domain.wanted import MAIN, Wanted, mount_of, stood_for

NAME = "volumes"
NOT_FOUND = {"model": Reason.MODEL_NOT_FOUND, "dataset": Reason.DATASET_NOT_FOUND}


def check_volumes(wanted: Wanted, facts: Mapping[Subject, Fact]) -> list[Finding]:
    """A finding for each that is wrong or unknown; one for all where nothing is."""
    found, there = [], []
    for place, volume in enumerate(wanted.volumes):
        fact = facts.get(mount_of(volume, volume.path or ""))
        if not isinstance(fact, MountFact):
            continue
        if (one := _finding(place, volume, fact)) is not None:
            found.append(one)
        there.append(
            f"{volume.source} at {stood_for(volume.revision or MAIN, fact.sha)}" if fact.sha else volume.source
        )
    if not found and wanted.volumes:
        return [passed(NAME, f"all that is to be mounted is there: {', '.join(there)}")]
    return found


def _finding(place: int, volume: Volume, fact: MountFact) -> Finding | None:
    field, what = f"volumes.{place}", f"the {volume.type} {volume.source}"
    cause = NOT_FOUND.get(volume.type, Reason.PREFLIGHT_FAILED)
    match fact.outcome:
        case Outcome.UNKNOWN | Outcome.DENIED:
            return unknown(NAME, f"{what}: {fact.message}")
        case Outcome.GATED:
            remedy = f"Accept the terms on the page of {volume.source} as the user of the service's token."
            gated = Reason.GATED_MODEL if volume.type == "model" else cause
            return failed(NAME, f"{what} is gated: {fact.message}", gated, f"{field}.source", remedy)
        case Outcome.MISSING if fact.revision_missing:
            message = f"{what} has no revision '{volume.revision}'"
            remedy = "Name a branch, tag or commit that it has, or leave it out for 'main'."
            return failed(NAME, message, cause, f"{field}.revision", remedy)
        case Outcome.MISSING:
            message = f"there is no {volume.type} {volume.source} that the service's token can see"
            remedy = f"{fact.hint} Check the source and the type of the volume.".strip()
            return failed(NAME, message, cause, f"{field}.source", remedy)
    if fact.has_path is False:
        message = f"{what} has no folder '{volume.path}'"
        return failed(
            NAME, message, cause, f"{field}.path", "Name a folder that it has, or leave it out for all of it."
        )
    return unknown(NAME, f"{what}: {fact.message}") if fact.message else None
