"""Asks whether anything that is pinned has a known vulnerability: `make audit`.

Ends with 1 where something has. Where nobody can be asked it says so and ends with 0: a check that needs the internet
must not stop work without it, and must not claim what it has not done.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

SECONDS = 120
# How pip-audit and its HTTP library say that they could not ask.
UNREACHABLE = ("requests.exceptions", "ConnectionError", "Timeout", "ServiceError", "SSLError")
NOT_AUDITED = "NOT AUDITED: the source of advisories cannot be reached from here"


class NotAsked(Exception):
    """Nobody answered; the message says how."""


def main(program: str, files: list[str]) -> int:
    """Run pip-audit over requirement files; the exit code."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    try:
        for file in files:
            found |= {(one["name"], one.get("version", "")): one for one in dependencies(program, file)}
    except NotAsked as error:
        return _say(f"{NOT_AUDITED} ({error})", 0)
    except ValueError as error:
        return _say(f"pip-audit failed: {error}", 1)
    skipped = sorted({one["name"] for one in found.values() if "skip_reason" in one})
    audited = [one for one in found.values() if "skip_reason" not in one]
    wrong = [f"{one['name']} {one['version']}: {told['id']}" for one in audited for told in one["vulns"]]
    _say(f"{len(audited)} packages audited" + (f", unknown there: {', '.join(skipped)}" if skipped else ""), 0)
    return _say("\n".join(["known vulnerabilities:", *wrong]), 1) if wrong else 0


def dependencies(program: str, file: str) -> list[dict[str, Any]]:
    """What pip-audit says of each package of a file. Raises NotAsked, and ValueError where it could not be run."""
    command = [
        program,
        "--disable-pip",
        "--require-hashes",
        "--format",
        "json",
        "--progress-spinner",
        "off",
        "-r",
        file,
    ]
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
        value: list[dict[str, Any]] = json.loads(ran.stdout)["dependencies"]
    except subprocess.TimeoutExpired:
        raise NotAsked(f"no answer within {SECONDS} seconds") from None
    except (ValueError, KeyError):
        last = (ran.stderr.strip().splitlines() or ["it said nothing"])[-1][:200]
        if any(word in ran.stderr for word in UNREACHABLE):
            raise NotAsked(last) from None
        raise ValueError(last) from None
    if all("skip_reason" in one for one in value):
        raise NotAsked(f"it knows none of {len(value)} packages")
    return value


def _say(text: str, code: int) -> int:
    sys.stdout.write(text + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
