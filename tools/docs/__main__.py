"""`python -m tools.docs`: write the generated pages."""

from __future__ import annotations

from pathlib import Path

from tools.docs import api, configuration, troubleshooting

DOCS = Path(__file__).parent.parent.parent / "docs"
PAGES = {"api.md": api.page, "configuration.md": configuration.page, "troubleshooting.md": troubleshooting.page}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (DOCS / name).write_text(page())
