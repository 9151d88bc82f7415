"""Which paths a `.gitignore` leaves out (git's own rules, without bracket expressions' corner cases)."""

from __future__ import annotations

import re


class Gitignore:
    """The rules of one `.gitignore` text; the last rule that matches decides."""

    def __init__(self, text: str) -> None:
        lines = (line.rstrip() for line in text.splitlines())
        self._rules = [_rule(line) for line in lines if line.strip("/!") and not line.startswith("#")]

    def match(self, path: str) -> bool:
        """Whether the path, or a folder it lies in, is left out. As in git, nothing inside such a folder comes back."""
        parts = path.split("/")
        folders = ("/".join(parts[:length]) + "/" for length in range(1, len(parts)))
        return any(self._leaves_out(folder) for folder in folders) or self._leaves_out(path)

    def _leaves_out(self, path: str) -> bool:
        verdicts = [wanted for pattern, wanted in self._rules if pattern.fullmatch(path)]
        return bool(verdicts) and verdicts[-1]


def _rule(line: str) -> tuple[re.Pattern[str], bool]:
    """A pattern over paths, where a folder's path ends with a slash, and whether it leaves out or brings back."""
    leaves_out = not line.startswith("!")
    body = line.removeprefix("!")
    folder_only = body.endswith("/")
    anchored = "/" in body.rstrip("/")
    body = body.strip("/")
    regex = ""
    for token in re.findall(r"\*\*/|/\*\*|\*|\?|[^*?/]+|/", body):
        regex += {"**/": "(?:.*/)?", "/**": "/.+", "*": "[^/]*", "?": "[^/]"}.get(token, re.escape(token))
    start = "" if anchored else "(?:.*/)?"
    return re.compile(f"{start}{regex}{'/' if folder_only else '/?'}"), leaves_out
