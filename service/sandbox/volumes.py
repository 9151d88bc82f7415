"""What a job may mount, looked at when it is created; mounting itself needs no token any more.

How the real service refuses is not documented. Assumed here: a source or revision that is not there, or not for the
caller to see, is 404, a gated one 403, as everywhere on the Hub; a writable mount of a bucket takes the right to write
there; two mounts at one path, or one at `/`, are 400.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from service.sandbox.accounts import Token
from service.sandbox.buckets import valid_path
from service.sandbox.calls import Call
from service.sandbox.hub import Hub
from service.sandbox.wire import Refusal, Request

Volume = Mapping[str, Any]


def require(volumes: Iterable[Volume], hub: Hub, request: Request, caller: Token, now: datetime) -> None:
    """Let pass what the caller may mount; raises Refusal 400, 403 or 404."""
    taken: set[str] = set()
    for volume in volumes:
        place, path = mount_path(volume), subfolder(volume)
        if path:
            valid_path(path)
        if place == "/" or ".." in place.split("/") or place in taken:
            raise Refusal(400, f"✖ Nothing can be mounted at {place}, or it is taken\n  → at volumes")
        taken.add(place)
        try:
            _require_source(volume, hub, request, caller, now)
        except Refusal as refusal:
            raise replace(refusal, message=f"{volume['type']} {volume['source']}: {refusal.message}") from None


def _require_source(volume: Volume, hub: Hub, request: Request, caller: Token, now: datetime) -> None:
    if volume["type"] == "bucket":
        bucket = hub.buckets.visible(volume["source"], caller)
        if not volume.get("readOnly"):
            hub.buckets.require_rights(caller, bucket.id)
        return
    repo = hub.visible(volume["type"], volume["source"], caller)
    Call(request, now, repo, caller).require_contents()
    repo.at(revision(volume))


def mount_path(volume: Volume) -> str:
    """Where the job is to find it, without a slash at the end or twice."""
    return "/" + "/".join(filter(None, volume["mountPath"].split("/")))


def subfolder(volume: Volume) -> str:
    """The folder of the source that is mounted; empty for all of it."""
    return (volume.get("path") or "").strip("/")


def revision(volume: Volume) -> str:
    """The revision of a repository that is mounted."""
    return volume.get("revision") or "main"
