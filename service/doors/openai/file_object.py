"""The file object: of what was uploaded, and of the numbers of a job that succeeded."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from service.store.tables import UploadedFile

PURPOSE, OF_RESULTS = "fine-tune", "fine-tune-results"
RESULTS_NAME = "step_metrics.csv"


def seconds(moment: datetime | None) -> int | None:
    """A moment as OpenAI writes it: whole seconds since 1970."""
    return None if moment is None else int(moment.timestamp())


def file_object(file: UploadedFile) -> dict[str, Any]:
    """`processed` once it is stored on the Hub; `tunegate` says where."""
    return {
        "id": file.id,
        "object": "file",
        "bytes": file.byte_count,
        "created_at": seconds(file.created_at),
        "expires_at": seconds(file.expires_at),
        "filename": file.filename,
        "purpose": file.purpose,
        "status": file.state,
        "status_details": file.problem,
        "tunegate": {
            "team": file.team,
            "examples": file.examples,
            "form": file.form,
            "sha256": file.sha256,
            "dataset": file.repo,
            "revision": file.revision,
        },
    }


def results_object(file_id: str, team: str, content: bytes, at: datetime | None) -> dict[str, Any]:
    """A file that is made of a run's numbers whenever it is read."""
    return {
        "id": file_id,
        "object": "file",
        "bytes": len(content),
        "created_at": seconds(at) or 0,
        "expires_at": None,
        "filename": RESULTS_NAME,
        "purpose": OF_RESULTS,
        "status": "processed",
        "status_details": None,
        "tunegate": {"team": team},
    }


def page_object(data: list[dict[str, Any]], has_more: bool) -> dict[str, Any]:
    """A page of a list; its clients take the last item's id for the next one."""
    ids = [one["id"] for one in data]
    return {
        "object": "list",
        "data": data,
        "has_more": has_more,
        "first_id": ids[0] if ids else None,
        "last_id": ids[-1] if ids else None,
    }
