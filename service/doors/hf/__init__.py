"""The `hf` door: Hugging Face's Jobs API (Hub OpenAPI 2026-08, huggingface_hub 2.4), answered by runs.

A client that has this service as its HF_ENDPOINT, and a team's key as its token, starts runs where it would start jobs.
"""

from __future__ import annotations

from fastapi import FastAPI

from service.doors.hf import account, elsewhere, following, reading, submitting
from service.doors.hf.refusals import HubErrors


def install(app: FastAPI) -> None:
    """Open the door. After all other routes: what is not served of the Hub is told by its address."""
    for part in (account, submitting, reading, following, elsewhere):
        app.router.routes.extend(part.router.routes)
    app.add_middleware(HubErrors)
