"""What a browser without scripts shows of a page: its text and its forms."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import httpx2

from tests.api.conftest import Api
from tests.api.test_sign_in import Browser


class Visitor:
    """Somebody who is signed in, reads pages and sends their forms."""

    def __init__(self, api: Api, role: str = "lead") -> None:
        self.browser = Browser(api)
        assert self.browser.sign_in(api.keys[role]).status_code == 303

    def html(self, path: str, status: int = 200) -> str:
        answer = self.browser("GET", path)
        assert answer.status_code == status, answer.text
        return answer.text

    def text(self, path: str, status: int = 200) -> str:
        """The words of a page, with one space between them."""
        return words(self.html(path, status))

    def press(self, path: str, action: str, **fields: Any) -> httpx2.Response:
        """Send the page's first form of this action, with these fields beside its hidden ones."""
        html = self.html(path)
        wanted = {name: str(value) for name, value in fields.items()}
        for found in re.findall(rf'<form[^>]*action="/ui/do/{action}".*?</form>', html, re.S):
            hidden = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', found)
            given = {name: unescape(value) for name, value in hidden}
            boxes = dict(re.findall(r'<input type="checkbox" name="(\w+)" value="yes"( checked)?>', found))
            given |= {name: "yes" for name, checked in boxes.items() if checked}
            if all(name in boxes or given.get(name, value) == value for name, value in wanted.items()):
                return self.browser("POST", f"/ui/do/{action}", data={**given, **wanted})
        raise AssertionError(f"{path} has no such form of {action}")


def words(html: str) -> str:
    """The text of some HTML."""
    shown = re.sub(r"<(script|style|svg)\b.*?</\1>", " ", html, flags=re.S)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", shown)).split())
