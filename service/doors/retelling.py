"""The way out of a door: an answer passes as it is, a problem document is told again in the door's own form."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from starlette.datastructures import Headers
from starlette.types import Message, Send

from service.api.problems import MEDIA_TYPE

# From a problem's start and its whole body, what is sent in their place.
Tell = Callable[[Message, bytes], Sequence[Message]]


class Retelling:
    """Stands in for `send`. `begin` sees the start of every answer before it goes on."""

    def __init__(self, send: Send, tell: Tell, begin: Callable[[Message], None] = lambda _start: None) -> None:
        self._send, self._tell, self._begin = send, tell, begin
        self._problem: Message | None = None
        self._body = bytearray()
        self.has_begun = False

    async def __call__(self, message: Message) -> None:
        """One part of the answer."""
        if message["type"] == "http.response.start":
            self._begin(message)
            if Headers(raw=message["headers"]).get("content-type", "").startswith(MEDIA_TYPE):
                self._problem = message
                return
            self.has_begun = True
        elif message["type"] == "http.response.body" and self._problem is not None:
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                self.has_begun = True
                for told in self._tell(self._problem, bytes(self._body)):
                    await self._send(told)
            return
        await self._send(message)
