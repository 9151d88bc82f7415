"""Cuts a process's output into log lines."""

from __future__ import annotations

import codecs

LONGEST = 64 * 1024


class LogLines:
    r"""Takes bytes as they come and gives whole lines.

    Lines end at `\n` only, so that a progress bar that redraws itself with `\r` stays one line; what is longer than
    64 Ki characters comes in pieces; bytes that are no UTF-8 become U+FFFD.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""

    def feed(self, output: bytes) -> list[str]:
        """The lines that this output completes."""
        *lines, self._rest = (self._rest + self._decoder.decode(output)).split("\n")
        whole = [piece for line in lines for piece in _pieces(line.removesuffix("\r"))]
        while len(self._rest) > LONGEST:
            whole.append(self._rest[:LONGEST])
            self._rest = self._rest[LONGEST:]
        return whole

    def flush(self) -> list[str]:
        """What is left when the output has ended without a line's end."""
        rest = self._rest + self._decoder.decode(b"", True)
        self._rest = ""
        return list(_pieces(rest)) if rest else []


def _pieces(line: str) -> list[str]:
    return [line[start : start + LONGEST] for start in range(0, len(line), LONGEST)] or [""]
