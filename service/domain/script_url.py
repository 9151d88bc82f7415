"""Where a script may be fetched from, as far as its address tells."""

from __future__ import annotations

import re
from collections.abc import Sequence

from service.domain.target import url_refusal

WHAT = "a script's address"

# Pages that show a file, and where the file itself is.
PAGES = (
    (r"https://(?:www\.)?github\.com/([^/]+/[^/]+)/blob/(.+)", r"https://raw.githubusercontent.com/\1/\2"),
    (r"https://gist\.github\.com/([^/]+/[0-9a-f]+)/?", r"https://gist.githubusercontent.com/\1/raw"),
    (r"https://(?:huggingface\.co|hf\.co)/(.+?)/blob/(.+)", r"https://huggingface.co/\1/resolve/\2"),
    (r"https://([^/]+)/(.+)/-/blob/(.+)", r"https://\1/\2/-/raw/\3"),
)


def script_url_refusal(url: str, allowed: Sequence[str]) -> tuple[str, str] | None:
    """Why an address is not fetched, with what to do instead; or None. `allowed` are the operator's exceptions: hosts,
    addresses and CIDRs that may be private, and reached over plain http. Names are looked up when it is fetched."""
    for page, raw in PAGES:
        if found := re.fullmatch(page, url.partition("?")[0].partition("#")[0]):
            return "this is a web page that shows the script, not the script", f"Use {found.expand(raw)}"
    if (refusal := url_refusal(url, allowed, WHAT)) is not None:
        return refusal, "Use a public https:// address, or send the script itself in 'source'."
    return None
