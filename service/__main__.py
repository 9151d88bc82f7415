"""`python -m service` is the `tunegate` command."""

from service.cli import app

app()
