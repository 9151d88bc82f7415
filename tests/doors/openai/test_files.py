"""Files by the real package: uploaded, checked line by line, stored once, read, deleted."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import timedelta
from typing import Any

import openai
import pytest
from openai import OpenAI
from sqlmodel import select

from service.flow import archive, notify, retain
from service.store import files, rows
from service.store.tables import AuditEntry, FilePiece, Team, TeamCredential, UploadedFile
from tests.doors.openai.conftest import Door, chats, jsonl


def upload(client: OpenAI, content: bytes, name: str = "chats.jsonl", **more: Any) -> Any:
    return client.files.create(file=(name, io.BytesIO(content)), purpose="fine-tune", **more)


def pieces(door: Door) -> int:
    with door.world.db.read() as session:
        return len(list(session.exec(select(FilePiece.file_id))))


def test_a_file_is_uploaded_stored_read_and_deleted(door: Door) -> None:
    client = door.client()
    content = chats(50)
    file = upload(client, content)
    assert (file.object, file.bytes, file.filename, file.purpose) == ("file", len(content), "chats.jsonl", "fine-tune")
    assert (file.status, file.expires_at) == ("uploaded", None)
    assert client.files.content(file.id).read() == content  # not on the Hub yet
    assert door.store() == 1
    file = client.files.retrieve(file.id)
    assert file.status == "processed"
    assert client.files.wait_for_processing(file.id).id == file.id
    repo = door.repo(file.tunegate["dataset"])
    assert repo.private
    assert repo.head.tree["train.jsonl"].data == content
    assert repo.head.sha == file.tunegate["revision"]
    assert pieces(door) == 0
    assert client.files.content(file.id).read() == content
    deleted = client.files.delete(file.id)
    assert (deleted.id, deleted.deleted, deleted.object) == (file.id, True, "file")
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(file.id)
    assert door.store() == 1
    assert door.repo(file.tunegate["dataset"]) is None
    assert door.store() == 0


def test_what_is_wrong_is_told_line_by_line_and_nothing_is_kept(door: Door) -> None:
    client = door.client()
    wrong = chats(2) + jsonl([{"messages": [{"role": "user", "content": "?"}]}]) + b"\n" + b'{"messages": []\n'
    with pytest.raises(openai.BadRequestError) as told:
        upload(client, wrong)
    error = told.value
    assert (error.code, error.param, error.type) == ("invalid", "file", "invalid_request_error")
    assert "line 3: the last message is not the assistant's" in error.message
    assert isinstance(error.body, dict)
    assert [one["line"] for one in error.body["errors"]] == [3, 4, 5]
    assert client.files.list().data == []
    with door.world.db.read() as session:
        assert not list(session.exec(select(UploadedFile)))


def test_fields_that_are_no_use_are_named(door: Door) -> None:
    late = {"anchor": "created_at", "seconds": 5}
    for fields, param in (
        ({"purpose": "assistants"}, "purpose"),
        ({"purpose": "fine-tune", "expires_after": late}, "expires_after.seconds"),
        ({"purpose": "fine-tune", "extra_body": {"colour": "red"}}, "colour"),
    ):
        with pytest.raises(openai.BadRequestError) as told:
            door.client().files.create(file=("a.jsonl", chats()), **fields)  # type: ignore[arg-type]
        assert told.value.param == param


def test_a_file_that_is_too_large_is_refused_by_its_length_and_by_what_came(door: Door) -> None:
    door.world.limit(file_bytes=1000)
    state = door.api.app.state
    state.tunegate = replace(state.tunegate, gate=door.world.gate)
    for content in (chats(2000), chats(100)):
        with pytest.raises(openai.APIStatusError) as told:
            upload(door.client(), content)
        assert (told.value.status_code, told.value.code, told.value.param) == (413, "too_large", "file")
    assert pieces(door) == 0


def test_lists_page_by_id_in_both_orders_and_by_purpose(door: Door) -> None:
    client = door.client()
    made = []
    for number in range(5):
        door.world.clock.turn(seconds=1)
        made.append(upload(client, chats(number + 1)).id)
    assert [one.id for one in client.files.list(limit=2)] == made[::-1]  # the package asks for further pages
    assert [one.id for one in client.files.list(limit=2, order="asc")] == made
    first = client.files.list(limit=2, order="asc")
    assert (first.has_more, len(first.data), first.next_page_info() is None) == (True, 2, False)
    assert client.files.list(purpose="batch").data == []
    assert len(client.files.list(purpose="fine-tune").data) == 5
    for wrong in ({"limit": 0}, {"order": "sideways"}):
        with pytest.raises(openai.BadRequestError) as told:
            client.files.list(**wrong)  # type: ignore[arg-type]
        assert told.value.param in wrong


def test_a_file_is_its_teams_and_writing_needs_the_role(door: Door) -> None:
    file = upload(door.client(), chats())
    outsider, viewer = door.client("outsider"), door.client("viewer")
    for ask in (outsider.files.retrieve, outsider.files.content, outsider.files.delete):
        with pytest.raises(openai.NotFoundError):
            ask(file.id)
    assert outsider.files.list().data == []
    assert viewer.files.retrieve(file.id).id == file.id
    with pytest.raises(openai.PermissionDeniedError):
        upload(viewer, chats())
    with pytest.raises(openai.PermissionDeniedError):
        viewer.files.delete(file.id)
    with pytest.raises(openai.AuthenticationError) as told:
        door.client("stranger").files.list()
    assert told.value.code == "invalid_api_key"
    admin = door.client("admin", project="research")
    assert [one.id for one in admin.files.list()] == [file.id]
    with pytest.raises(openai.BadRequestError, match="belongs to no team"):
        upload(door.client("admin"), chats())
    with door.world.db.read() as session:
        entries = [one for one in session.exec(select(AuditEntry)) if one.object == f"/v1/files/{file.id}"]
    assert [(one.action, one.team, one.actor) for one in entries] == [("POST /v1/files", "research", "member")]


def test_a_file_goes_by_itself_when_its_time_is_over(door: Door) -> None:
    client = door.client()
    file = upload(client, chats(), expires_after={"anchor": "created_at", "seconds": 3600})
    assert file.expires_at == file.created_at + 3600
    door.store()
    door.world.clock.turn(seconds=3601)
    door.store(passes=2)
    assert client.files.list().data == []
    assert door.repo(file.tunegate["dataset"]) is None


def test_an_archived_team_uploads_nothing_and_its_files_stay(door: Door) -> None:
    file = upload(door.client(), chats())
    assert door.api("POST", "/teams/research/archive", as_="admin").status_code == 202
    with pytest.raises(openai.ConflictError) as told:
        upload(door.client(), chats())
    assert told.value.code == "team_archived"
    door.world.clock.turn(hours=1)
    door.store()
    assert door.repo(file.tunegate["dataset"]) is not None


def test_a_teams_own_tokens_store_its_files_and_stay_until_those_are_done_with(door: Door) -> None:
    tokens = {"control_token": "hf_labs", "job_token": "hf_labs_job", "namespaces": ["labs"]}
    assert door.api("PUT", "/teams/research/hf-credentials", as_="lead", json=tokens).status_code == 200
    seen = len(door.world.wire.seen)
    file = upload(door.client(), chats(), expires_after={"anchor": "created_at", "seconds": 3600})
    door.store()
    assert file.tunegate["dataset"].startswith("labs/tunegate-file-")
    assert set(door.world.wire.tokens[seen:]) == {"Bearer hf_labs_job"}
    assert door.repo(file.tunegate["dataset"]).private
    assert door.api("POST", "/teams/research/archive", as_="admin").status_code == 202
    for _ in range(3):
        notify.run_once(door.world.gate)
        archive.run_once(door.world.gate)
    with door.world.db.read() as session:
        assert session.get_one(Team, "research").archived_at is not None
        assert session.get(TeamCredential, "research") is not None
    door.world.clock.turn(seconds=3601)
    door.store(passes=2)
    assert door.repo(file.tunegate["dataset"]) is None
    archive.run_once(door.world.gate)
    with door.world.db.read() as session:
        assert session.get(TeamCredential, "research") is None


def test_an_upload_that_was_cut_off_is_forgotten(door: Door) -> None:
    def began(session: Any) -> None:
        row = rows.new(
            UploadedFile, id="file-1", team="research", filename="x", purpose="fine-tune", form="chat", examples=1,
            byte_count=1, sha256="", repo="acme/x", created_by="member", created_at=door.world.clock.now,
        )  # fmt: skip
        rows.insert(session, [row])
        files.add_piece(session, "file-1", 0, b"")

    door.world.db.write(began)
    assert door.client().files.list().data == []
    retain.run_once(door.world.gate)
    assert pieces(door) == 1
    door.world.clock.turn(seconds=timedelta(hours=3).total_seconds())
    retain.run_once(door.world.gate)
    assert pieces(door) == 0
