"""An installer's error with the causes that it lists below: one message, printed over several lines. The headline says
what failed (`Failed to download and build …`), the last cause why (`operation timed out`)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from service.domain.diagnosis.lines import Line

HEADLINE = re.compile(r"^(?:error: |\s{0,4}[×x] )")
# uv to 0.12 draws branches or writes `Caused by:`, later `cause:`; a long one goes on below, indented or behind a bar
CAUSE = re.compile(r"^\s*(?:[├╰]─▶|Caused by:|cause:)\s+")
CONTINUED = re.compile(r"^\s{2,6}(?:│\s+)?[^\s│├╰\[]")
MOST = 24


def below(lines: Sequence[Line], at: int) -> list[str]:
    """The causes under a headline, as they are printed; none under any other line."""
    if HEADLINE.match(lines[at].text) is None:
        return []
    found: list[str] = []
    for _, text in lines[at + 1 : at + 1 + MOST]:
        if CAUSE.match(text) is None and (
            CONTINUED.match(text) is None or text.lstrip().startswith(("help:", "hint:"))
        ):
            break
        found.append(text)
    return found if any(CAUSE.match(text) for text in found) else []
