"""What lives beside the database: the keys that were made at the first start, and the installation's id."""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from cryptography.fernet import InvalidToken
from sqlmodel import Session, select

from service.store import organisation
from service.store.ids import new_id
from service.store.tables import Installation
from service.store.vault import Own, Vault, keys_in

ID_FILE = "installation"
KEY_FILE = "secret.key"


class ForeignDatabase(Exception):
    """The database belongs to another installation than the one here."""


class WrongKey(ForeignDatabase):
    """The database's secrets are sealed under another key than the one here."""


@dataclass(frozen=True)
class Home:
    """What a process knows its database by: the folder beside it, and the settings that go before the folder's files
    (replicas of one installation on several machines have no folder in common)."""

    folder: Path
    installation_setting: str | None = None
    key_setting: str | None = None

    @property
    def installation(self) -> str | None:
        """The installation that is continued here; None where nothing says so."""
        if self.installation_setting is not None:
            return self.installation_setting
        path = self.folder / ID_FILE
        return (path.read_text().strip() or None) if path.exists() else None

    @property
    def key_file(self) -> Path:
        """Where the keys are kept that no setting gives."""
        return self.folder / KEY_FILE

    def vault(self, own: Own | None = None) -> Vault:
        """Seals under the first key that is here; where there is none, one is made. Keys in the file may change while
        the vault is used."""
        if self.key_setting is not None:
            return Vault(self.key_setting, own)
        return Vault(kept_secret(self.folder, KEY_FILE), own, self._keys_in_file)

    def keys(self) -> list[str]:
        """The keys that are here, the one that seals first; made where there is none. Raises ValueError for an empty
        file."""
        return keys_in(self.key_setting or kept_secret(self.folder, KEY_FILE))

    def has_key(self) -> bool:
        """Whether `vault` would make none."""
        return self.key_setting is not None or self.key_file.exists()

    def _keys_in_file(self) -> str | None:
        try:
            return self.key_file.read_text().strip() or None
        except OSError:
            return None  # what was known before still holds


def kept_secret(folder: Path, name: str) -> str:
    """The secret kept in a file of its own, readable by its owner only; made at first use. Raises ValueError for an
    empty file: sealing under an empty key would look like sealing."""
    path = folder / name
    if not path.exists():
        _write_once(path, new_key() + "\n")
    if not (secret := path.read_text().strip()):
        raise ValueError(f"{path} is empty: put the key back, or remove the file if nothing was ever sealed under it")
    return secret


def new_key() -> str:
    """256 random bits."""
    return secrets.token_urlsafe(32)


def _write_once(path: Path, text: str) -> None:
    """Write a file whole and on disk, or leave it to another process that was first."""
    draft = _draft(path, text)
    with contextlib.suppress(FileExistsError):
        os.link(draft, path)
    os.unlink(draft)


def _draft(path: Path, text: str) -> str:
    """A file beside another one, on disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # readable by its owner only
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    return draft


def _to_disk(folder: Path) -> None:
    """What was renamed in a folder stays so, even if the power fails."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_keys(home: Home, keys: Sequence[str]) -> None:
    """Put these keys into the file, whole and on disk: whoever reads it meanwhile finds the old ones or these."""
    draft = _draft(home.key_file, "\n".join(keys) + "\n")
    os.replace(draft, home.key_file)
    _to_disk(home.folder)


def move_in(session: Session, home: Home, now: datetime) -> tuple[str, Vault]:
    """The id that this installation's jobs carry as a label, and what opens its secrets.

    A database that was never used becomes this installation's. Raises ForeignDatabase where one that was used belongs
    to another, or where nothing here says whose it is: a copy must not touch the jobs of the database that it was
    copied from. Raises WrongKey where its secrets could not be opened.
    """
    organisation.lock(session)  # two replicas that start on an empty database agree on one id
    owner = owner_of(session)
    if owner is None:
        own = Own.new()
        vault = home.vault(own)
        owner = Installation(
            id=home.installation or new_id("ins", now), sealed_own=vault.seal(asdict(own)), created_at=now
        )
        session.add(owner)
        if home.installation is None:
            claim(home, owner)
        return owner.id, vault
    if (trouble := id_trouble(owner, home)) is not None:
        raise ForeignDatabase(trouble)
    if (trouble := key_trouble(owner, home)) is not None:
        raise WrongKey(trouble)
    return owner.id, home.vault(Own(**home.vault().open(owner.sealed_own)))


def owner_of(session: Session) -> Installation | None:
    """The installation that a database belongs to; None for a database that was never used."""
    return session.exec(select(Installation)).first()


def id_trouble(owner: Installation, home: Home) -> str | None:
    """Why this service must not go on as the database's installation, or None."""
    if home.installation == owner.id:
        return None
    if home.installation_setting is not None:
        return (
            f"the database belongs to {owner.id}, and TUNEGATE_INSTALLATION says {home.installation_setting}; no job "
            f"was touched"
        )
    said = home.installation or "no installation: the database may be a copy of one that another service works on"
    return (
        f"the database belongs to {owner.id}, the folder {home.folder} to {said}; no job was touched. If this folder "
        f"now continues {owner.id}, and no service with another database does, say so with `tunegate claim`"
    )


def key_trouble(owner: Installation, home: Home) -> str | None:
    """Why the secrets of a database cannot be opened here, or None."""
    path = home.folder / KEY_FILE
    wanted = f"the secret key of {owner.id} belongs there (or into TUNEGATE_SECRET_KEY)"
    lost = "if it is lost, `tunegate claim --new-key` goes on without it"
    if not home.has_key():
        return f"there is no {path}: {wanted}; {lost}"
    with contextlib.suppress(InvalidToken):
        home.vault().open(owner.sealed_own)
        return None
    if home.key_setting is not None:
        return f"TUNEGATE_SECRET_KEY is not the key under which the secrets of {owner.id} are sealed; {lost}"
    return f"{path} holds another key: {wanted}; {lost}"


def claim(home: Home, owner: Installation) -> None:
    """Let a folder continue an installation: from now on its service counts that one's jobs as its own."""
    path = home.folder / ID_FILE
    path.unlink(missing_ok=True)
    _write_once(path, owner.id + "\n")


def replace_key(session: Session, home: Home) -> None:
    """Go on under the key that is here, with new keys of the installation's own. What was sealed under the old one
    stays shut for good."""
    organisation.lock(session)
    owner = owner_of(session)
    assert owner is not None
    owner.sealed_own = home.vault().seal(asdict(Own.new()))
    session.add(owner)
