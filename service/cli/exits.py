"""Exit codes of the `tunegate` command; docs/cli.md has the table. Those from 64 on are of sysexits.h."""

from __future__ import annotations

RUN_FAILED = 1  # what was waited for did not succeed
USAGE = 2  # typer's own
REFUSED = 3  # the service answered 4xx
NOT_FOUND = 4  # the service answered 404
UNREACHABLE = 5  # no answer, 5xx, or something that is no Tunegate
MISCONFIGURED = 78  # EX_CONFIG
INTERRUPTED = 130  # a shell's for SIGINT
PIPE_CLOSED = 141  # a shell's for SIGPIPE: whoever read the output has had enough
