"""What queued runs wait for before there is anything to check: parked, so that neither preflight nor admission sees
them."""

from __future__ import annotations

SCRIPT, FILE = "script", "file"
FIRST = {
    SCRIPT: "its script is fetched and checked first",
    FILE: "its training file is stored on the Hub first",
}
OPENS = {
    SCRIPT: "wait until its script has been fetched",
    FILE: "wait until its file has been stored",
}
