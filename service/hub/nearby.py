"""What may have been meant by a name that nothing has: the same name among another kind of repositories, or a similar
one. A few calls, for a mistake only; whatever goes wrong with them, nothing is said."""

from __future__ import annotations

from difflib import get_close_matches

from service.hub.content import TooDeep, parsed
from service.hub.faults import HubFault
from service.hub.session import HubSession

KINDS = {"models": "a model", "datasets": "a dataset", "spaces": "a Space"}
MOST_NAMES = 500


def hint(session: HubSession, token: str, kind: str, repo: str) -> str:
    """A sentence, or nothing."""
    for other, what in KINDS.items():
        if other != kind and _exists(session, token, f"/api/{other}/{repo}"):
            return f"{repo} is {what}."
    owner, _, name = repo.rpartition("/")
    names = _names(session, token, f"/api/{kind}?author={owner}&limit={MOST_NAMES}") if owner else []
    close = get_close_matches(repo.lower(), [one.lower() for one in names], n=1, cutoff=0.75)
    if not close:
        found = _names(session, token, f"/api/{kind}?search={name}&limit=20")
        names = [one for one in found if one.rpartition("/")[2].lower() == name.lower()]
        close = [names[0].lower()] if names else []
    return next((f"Did you mean '{one}'?" for one in names if close and one.lower() == close[0]), "")


def _exists(session: HubSession, token: str, path: str) -> bool:
    try:
        session.read(path, token, follow=True)
    except HubFault:
        return False
    return True


def _names(session: HubSession, token: str, path: str) -> list[str]:
    try:
        listed = parsed(session.read(path, token).content, prune=True)
    except (HubFault, ValueError, TooDeep):
        return []
    items = listed if isinstance(listed, list) else []
    return [one["id"] for one in items if isinstance(one, dict) and isinstance(one.get("id"), str)]
