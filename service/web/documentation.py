"""`/docs`: the API to read and to try, from this service alone: it works offline, and under the policy of all pages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles

STATIC = Path(__file__).parent / "static"
PAGE = STATIC / "vendor" / "swagger" / "index.html"


def install(app: FastAPI) -> None:
    """Serve the page, and the files of all pages."""

    @app.get("/docs", include_in_schema=False)
    def docs() -> FileResponse:
        return FileResponse(PAGE, media_type="text/html")

    app.mount("/static", Files(directory=STATIC))


class Files(StaticFiles):
    """Files that a browser keeps, and asks about each time whether they are still the same."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        """As the base class, with that said."""
        answer = super().file_response(*args, **kwargs)
        answer.headers["cache-control"] = "no-cache"
        return answer
