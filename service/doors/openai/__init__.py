"""The OpenAI door: OpenAI's fine-tuning and files API, as the `openai` package speaks it, answered by runs."""

from __future__ import annotations

from fastapi import FastAPI

from service.doors.openai import elsewhere, files, jobs
from service.doors.openai.answers import OpenAiAnswers


def install(app: FastAPI) -> None:
    """Open the door. It is no part of the OpenAPI document."""
    for part in (files, jobs, elsewhere):
        app.router.routes.extend(part.router.routes)
    app.add_middleware(OpenAiAnswers)
