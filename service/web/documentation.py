"""`/docs`: the API to read and to try, from this service alone: it works offline, and under the policy of all pages."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import FileResponse
from starlette.staticfiles import StaticFiles

STATIC = Path(__file__).parent / "static"
PAGE = STATIC / "swagger" / "index.html"


def install(app: FastAPI) -> None:
    """Serve the page, and the files of all pages."""

    @app.get("/docs", include_in_schema=False)
    def docs() -> FileResponse:
        return FileResponse(PAGE, media_type="text/html")

    app.mount("/static", StaticFiles(directory=STATIC))
