"""Secrets at rest, and hashes of bodies."""

from __future__ import annotations

import pytest
from cryptography.fernet import InvalidToken
from hypothesis import given
from hypothesis import strategies as st

from service.store.home import kept_secret
from service.store.vault import Vault


def test_what_is_sealed_shows_nothing_and_opens_under_its_key_only() -> None:
    sealed = Vault("one secret key").seal({"WANDB_API_KEY": "very secret"})
    assert b"very secret" not in sealed
    assert Vault("one secret key").open(sealed) == {"WANDB_API_KEY": "very secret"}
    with pytest.raises(InvalidToken):
        Vault("another secret").open(sealed)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(body=st.dictionaries(st.text(), JSON))
def test_the_order_of_fields_does_not_matter_to_a_bodys_hash(body: dict[str, object]) -> None:
    vault = Vault("k")
    turned = dict(reversed(body.items()))
    assert vault.body_hmac(body) == vault.body_hmac(turned)
    assert vault.body_hmac(body) != Vault("other").body_hmac(body)
    assert vault.body_hmac({**body, "extra": 1}) != vault.body_hmac({**body, "extra": 2})


def test_a_made_secret_is_kept_and_readable_by_its_owner_only(tmp_path: object) -> None:
    from pathlib import Path

    home = Path(str(tmp_path)) / "data"
    made = kept_secret(home, "secret.key")
    assert len(made) >= 40
    assert kept_secret(home, "secret.key") == made
    assert (home / "secret.key").stat().st_mode & 0o077 == 0
