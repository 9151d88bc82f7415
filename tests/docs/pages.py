"""The documents as their readers have them: pages, and the fenced blocks in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
README = ROOT / "README.md"
FENCE = re.compile(r"^```(\S+)(?: (\S+))?\n(.*?)^```$", re.M | re.S)


@dataclass(frozen=True)
class Block:
    """One fenced block. `kind` is the word after the language, which says what the text claims to be."""

    page: Path
    line: int
    language: str
    kind: str | None
    text: str

    @property
    def place(self) -> str:
        """Where it is, for people."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def pages() -> list[Path]:
    """The README, and all pages of docs/ in the order in which the README names them."""
    named = re.findall(r"\]\((docs/[\w-]+\.md)\)", README.read_text())
    return [README, *(ROOT / name for name in dict.fromkeys(named))]


# Typed whole by tests of their own: tests/crash/test_cli_page.py, tests/cli/test_hf_door.py, and in tests/pages.
WITH_TESTS_OF_THEIR_OWN = ("cli.md", "client.md", "hf.md", "openai.md")


def blocks(*languages: str) -> Iterator[Block]:
    """All blocks in these languages, page by page, but for pages that other tests type."""
    for page in pages():
        if page.name in WITH_TESTS_OF_THEIR_OWN:
            continue
        text = page.read_text()
        for found in FENCE.finditer(text):
            if found[1] in languages:
                line = text.count("\n", 0, found.start()) + 1
                yield Block(page, line, found[1], found[2], found[3])
