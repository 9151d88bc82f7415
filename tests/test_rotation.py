"""`tunegate rotate-secrets`: another secret key beside a running service, broken off at any point: nothing is lost."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import InvalidToken
from sqlalchemy import LargeBinary
from sqlmodel import Session, SQLModel, select
from typer.testing import CliRunner

from service.cli import app
from service.leader import FileLeader
from service.store import audit, home, resealing
from service.store.db import Database
from service.store.home import Home
from service.store.resealing import reseal_all
from service.store.tables import Endpoint, Installation, Run, TeamCredential, TeamSecret
from service.store.vault import Own, Vault, keys_in
from tests.conftest import Clock
from tests.factories import make_credentials, make_run, make_secret, make_team

RUNS = 25


def fill(db: Database, here: Home, clock: Clock) -> Vault:
    """A database with something in every column that holds something sealed."""
    _, vault = db.write(partial(home.move_in, home=here, now=clock.now))

    def make(session: Session) -> None:
        make_team(session, clock.now)
        for number in range(RUNS):
            sealed = vault.seal({"KEY": f"value {number}"})
            make_run(session, clock.turn(milliseconds=1), sealed_secrets=sealed, sealed_given=sealed)
        make_credentials(session, vault, clock.now, "research", ("hf_labs", "hf_labs_job"), "labs")
        for name in ("one", "two"):
            make_secret(session, vault, clock.now, "research", name, f"value of {name}")
        session.add(
            Endpoint(
                id="ep_1",
                team="research",
                url="https://example.com/",
                events=["run.*"],
                sealed_address=vault.seal({"secret": "whsec"}),
                created_at=clock.now,
            )
        )

    db.write(make)
    return vault


def everything(db: Database, vault: Vault) -> dict[str, Any]:
    """All that is sealed, opened."""
    with db.read() as session:
        return {
            "runs": [
                (vault.open(run.sealed_secrets or b""), vault.open(run.sealed_given or b""))
                for run in session.exec(select(Run).order_by(Run.id))
            ],
            "tokens": [vault.open(row.sealed_tokens) for row in session.exec(select(TeamCredential))],
            "secrets": [
                vault.open(row.sealed_value) for row in session.exec(select(TeamSecret).order_by(TeamSecret.name))
            ],
            "endpoints": [vault.open(row.sealed_address) for row in session.exec(select(Endpoint))],
            "own": [vault.open(row.sealed_own) for row in session.exec(select(Installation))],
        }


def test_every_column_of_bytes_is_sealed_and_found_or_named_here() -> None:
    found = {f"{column.table.name}.{column.name}" for column in resealing.columns()}
    binary = {
        f"{table.name}.{column.name}"
        for table in SQLModel.metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, LargeBinary)
    }
    assert binary - found == {"log_chunk.lines", "file_piece.content"}, (
        "what is sealed is called sealed_…, or it is not rotated"
    )


def test_all_of_it_comes_under_the_first_key_and_stays_what_it_was(db: Database, clock: Clock, tmp_path: Path) -> None:
    old = fill(db, Home(tmp_path, key_setting="old"), clock)
    before, hashed, token = everything(db, old), old.body_hmac({"a": 1}), old.token_for("callback/x")
    both = Home(tmp_path, key_setting="new,old")
    counted = reseal_all(db, both.vault(), batch=10)
    assert counted.looked_at == counted.resealed == 2 * RUNS + 1 + 2 + 1 + 1
    assert everything(db, Vault("new")) == before
    with pytest.raises(InvalidToken):
        everything(db, Vault("old"))
    assert reseal_all(db, both.vault(), batch=10).resealed == 0
    _, vault = db.write(partial(home.move_in, home=Home(tmp_path, key_setting="new"), now=clock.now))
    assert (vault.body_hmac({"a": 1}), vault.token_for("callback/x")) == (hashed, token)


def test_broken_off_at_any_batch_it_loses_nothing_and_goes_on(db: Database, clock: Clock, tmp_path: Path) -> None:
    old = fill(db, Home(tmp_path, key_setting="old"), clock)
    before, both, batches = everything(db, old), Vault("new\nold"), 0

    class Killed(BaseException):
        """The process ends here."""

    def die_after(number: int) -> Callable[[], None]:
        left = [number]

        def tick() -> None:
            left[0] -= 1
            if left[0] == 0:
                raise Killed

        return tick

    for number in range(1, 100):
        try:
            reseal_all(db, both, batch=7, after_batch=die_after(number))
        except Killed:
            batches += 1
            assert everything(db, both) == before
            continue
        break
    assert batches >= 2 * RUNS // 7
    assert everything(db, Vault("new")) == before


def test_what_is_wiped_or_replaced_meanwhile_stays_so(db: Database, clock: Clock, tmp_path: Path) -> None:
    fill(db, Home(tmp_path, key_setting="old"), clock)
    both = Vault("new,old")
    [column] = [one for one in resealing.columns() if one.name == "sealed_value"]
    with db.read() as session:
        row = session.execute(resealing._query(column, None, 1)).one()
    replaced = both.seal({"value": "newer"})
    db.write(
        lambda session: session.get_one(TeamSecret, ("research", "one")).sqlmodel_update({"sealed_value": replaced})
    )
    assert db.write(partial(resealing._replace, column=column, row=row, anew=b"older")) is False
    with db.read() as session:
        assert session.get_one(TeamSecret, ("research", "one")).sealed_value == replaced


def test_what_no_key_opens_is_counted_and_left(db: Database, clock: Clock, tmp_path: Path) -> None:
    fill(db, Home(tmp_path, key_setting="old"), clock)
    db.write(
        lambda session: session.get_one(TeamSecret, ("research", "one")).sqlmodel_update({"sealed_value": b"shut"})
    )
    assert reseal_all(db, Vault("new,old")).shut == {"team_secret.sealed_value": 1}


def test_a_running_service_takes_over_a_key_that_the_file_got(tmp_path: Path) -> None:
    here = Home(tmp_path)
    running, sealed_before = here.vault(), here.vault().seal({"a": "1"})
    [old] = here.keys()
    home.replace_keys(here, ["new", old])
    assert here.key_file.stat().st_mode & 0o077 == 0
    assert Vault("new").open(running.seal({"b": "2"})) == {"b": "2"}, "it seals under the new key from now on"
    late = here.vault()
    home.replace_keys(here, ["newer", "new", old])
    assert late.open(Vault("newer").seal({"c": "3"})) == {"c": "3"}
    assert late.open(sealed_before) == {"a": "1"}
    here.key_file.unlink()
    assert late.open(late.seal({"d": "4"})) == {"d": "4"}, "a file that is gone takes no key away"


def test_keys_stand_apart_by_commas_or_lines() -> None:
    assert keys_in(" one two , three\nfour\r\n,") == ["one two", "three", "four"]
    with pytest.raises(ValueError, match="no secret key"):
        keys_in(" ,\n")


def test_an_own_key_is_no_secret_key() -> None:
    own = Own.new()
    assert {*asdict(own)} == {"hash_key", "token_key"}
    assert Vault("a", own).token_for("x") == Vault("b", own).token_for("x") != Vault("a").token_for("x")


@pytest.fixture
def command(database_url: str, clock: Clock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Any]:
    """The command, on this database; its folder is the database's."""
    monkeypatch.setenv("TUNEGATE_DATABASE_URL", database_url)
    monkeypatch.setenv("TUNEGATE_DATA_DIR", str(tmp_path / "data"))
    return lambda *args: CliRunner().invoke(app, ["rotate-secrets", *args])


def test_the_whole_of_it_with_a_file(command: Callable[..., Any], db: Database, clock: Clock, tmp_path: Path) -> None:
    assert "nothing was ever sealed" in command().output
    here = Home(tmp_path / "data")
    running = fill(db, here, clock)
    before, [old] = everything(db, running), here.keys()
    assert "one key, and no old one" in command("--forget-old").output
    first = command()
    assert first.exit_code == 0, first.output
    new, kept = here.keys()
    assert kept == old
    assert f"{2 * RUNS + 5} seals looked at, {2 * RUNS + 5} of them sealed anew" in first.output
    assert not {new, old} & {*first.output.split()}
    assert everything(db, Vault(new)) == everything(db, running) == before
    assert "0 of them sealed anew" in command().output, "again makes no third key"
    assert here.keys() == [new, old]
    early = command("--forget-old")
    assert (early.exit_code, "Too early" in early.output) == (75, True)
    os.utime(here.key_file, (time.time() - 61,) * 2)
    late = db.write(lambda session: session.add(_secret(Vault(old), clock)))
    assert late is None
    done = command("--forget-old")
    assert done.exit_code == 0, done.output
    assert "the old key is gone" in done.output
    assert "1 of them sealed anew" in done.output
    assert here.keys() == [new]
    assert len(everything(db, running)["secrets"]) == 3
    _, again = db.write(partial(home.move_in, home=here, now=clock.now))
    assert again.body_hmac("x") == running.body_hmac("x")
    with db.read() as session:
        entered = audit.page(session, audit.Narrowed(), None, 10)
    assert [(entry.action, entry.via) for entry in entered] == [
        ("tunegate rotate-secrets --forget-old", "command line"),
        *[("tunegate rotate-secrets", "command line")] * 2,
    ]


def _secret(vault: Vault, clock: Clock) -> TeamSecret:
    """Sealed by a request that was under way when the key was made."""
    sealed = vault.seal({"value": "late"})
    return TeamSecret(
        team="research",
        name="late",
        sealed_value=sealed,
        created_at=clock.now,
        created_by="k",
        updated_at=clock.now,
        updated_by="k",
    )


def test_the_whole_of_it_with_the_setting(
    command: Callable[..., Any], db: Database, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = Home(tmp_path / "data", key_setting="old")
    before = everything(db, fill(db, here, clock))
    home.claim(here, Installation(id=_id(db), sealed_own=b"", created_at=clock.now))
    monkeypatch.setenv("TUNEGATE_SECRET_KEY", "old")
    told = command()
    assert (told.exit_code, "TUNEGATE_SECRET_KEY=NEW,OLD" in told.output) == (78, True)
    monkeypatch.setenv("TUNEGATE_SECRET_KEY", "new")
    assert command().exit_code == 78, "a key that opens nothing here"
    monkeypatch.setenv("TUNEGATE_SECRET_KEY", "new,old")
    assert command().exit_code == 0
    assert everything(db, Vault("new")) == before
    done = command("--forget-old")
    assert (done.exit_code, "Nothing is sealed under the other keys now" in done.output) == (0, True)
    monkeypatch.setenv("TUNEGATE_SECRET_KEY", "new")
    db.write(partial(home.move_in, home=Home(tmp_path / "data", key_setting="new"), now=clock.now))


def _id(db: Database) -> str:
    with db.read() as session:
        return session.exec(select(Installation)).one().id


def test_two_at_once_make_no_two_keys(command: Callable[..., Any], db: Database, clock: Clock, tmp_path: Path) -> None:
    here = Home(tmp_path / "data")
    fill(db, here, clock)
    lock = FileLeader(tmp_path / "data", "rotation.lock")
    lock.start()
    try:
        refused = command()
    finally:
        lock.stop()
    assert (refused.exit_code, "another rotation" in refused.output) == (78, True)
    assert len(here.keys()) == 1


def test_shut_seals_are_told_of(command: Callable[..., Any], db: Database, clock: Clock, tmp_path: Path) -> None:
    fill(db, Home(tmp_path / "data"), clock)
    db.write(
        lambda session: session.get_one(TeamSecret, ("research", "one")).sqlmodel_update({"sealed_value": b"shut"})
    )
    told = command()
    assert (told.exit_code, "1 in team_secret.sealed_value" in told.output) == (1, True)
