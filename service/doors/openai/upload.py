"""A file as it comes in: multipart, to a file on disk, read line by line, and only then into the database, in pieces.
Never more than a piece is in memory."""

from __future__ import annotations

import asyncio
import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import BinaryIO

from fastapi import Request
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.types import Message

from service.domain.chat_file import MOST_LINE_BYTES, Examined, examine
from service.domain.errors import Invalid, MalformedBody, RequestTimeout, ServiceError, TooLarge
from service.domain.text import is_carried
from service.doors.openai.file_object import PURPOSE
from service.store import files, rows
from service.store.db import Database
from service.store.tables import UploadedFile

# For the whole of it: 100 MiB then come at 170 KiB a second.
UPLOAD_SECONDS = 600.0
# What the form has beside the file.
FORM_BYTES = 64 * 1024
MOST_NAME = 200
ANCHOR, EXPIRES = "expires_after[anchor]", "expires_after[seconds]"
LEAST_SECONDS, MOST_SECONDS = 3600, 2_592_000
KNOWN = ("file", "purpose", ANCHOR, EXPIRES)


@dataclass(frozen=True)
class Received:
    """A file on disk, and what was said of it."""

    content: BinaryIO
    filename: str
    expires_after: timedelta | None


async def receive(request: Request, most_bytes: int) -> Received:
    """All of an upload. Raises Invalid, MalformedBody, TooLarge or RequestTimeout."""
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise Invalid("a file is sent as multipart/form-data", field="file", remedy="Use client.files.create.")
    length = request.headers.get("content-length", "0")
    if length.isdigit() and int(length) > most_bytes + FORM_BYTES:
        raise _too_large(most_bytes)
    form = await _form(request, most_bytes)
    try:
        return _received(form, most_bytes)
    except BaseException:
        await form.close()
        raise


async def _form(request: Request, most_bytes: int) -> FormData:
    trouble: ServiceError | None = None
    read, stops_at = 0, asyncio.get_running_loop().time() + UPLOAD_SECONDS

    async def bounded() -> Message:
        nonlocal read, trouble
        try:
            async with asyncio.timeout_at(stops_at):
                message = await request.receive()
        except TimeoutError:
            told = f"the file did not arrive within {UPLOAD_SECONDS:.0f} seconds"
            trouble = RequestTimeout(told, remedy="Send it at once.")
            raise MultiPartException(told) from None  # the one exception for which the parser closes what it holds
        read += len(message.get("body", b""))
        if message["type"] == "http.disconnect":
            trouble = MalformedBody("the body ends before its end", remedy="Send all of it.")
        elif read > most_bytes + FORM_BYTES:
            trouble = _too_large(most_bytes)
        if trouble is not None:
            raise MultiPartException(trouble.detail)
        return message

    stream = Request(request.scope, bounded).stream()
    try:
        return await MultiPartParser(request.headers, stream, max_files=1, max_fields=8).parse()
    except MultiPartException as error:
        raise trouble or MalformedBody(
            f"no form that can be read: {error.message}", remedy="Use client.files.create."
        ) from None


def _received(form: FormData, most_bytes: int) -> Received:
    for name in form:
        if name not in KNOWN:
            raise Invalid(f"there is no field '{name[:50]}'", field=name[:50], remedy=f"Known are {', '.join(KNOWN)}.")
    file = form.get("file")
    if not isinstance(file, UploadFile):
        raise Invalid("'file' is missing", field="file", remedy='Send file=open("chats.jsonl", "rb").')
    if (file.size or 0) > most_bytes:
        raise _too_large(most_bytes)
    if form.get("purpose") != PURPOSE:
        raise Invalid(f"'purpose' is '{PURPOSE}' here", field="purpose", remedy=f"Send purpose='{PURPOSE}'.")
    return Received(file.file, _name(file.filename), _expiry(form.get(ANCHOR), form.get(EXPIRES)))


def examined(received: Received) -> Examined:
    """What the file holds. Raises Invalid with the lines that are wrong and the rules that they break."""
    received.content.seek(0)
    found = examine(iter(partial(received.content.readline, MOST_LINE_BYTES + 1), b""))
    if found.faults:
        first = found.faults[0]
        errors = [{"line": one.line, "field": "file", "rule": one.rule, "remedy": one.remedy} for one in found.faults]
        raise Invalid(f"invalid file format: {first}", field="file", remedy=first.remedy, errors=errors)
    return found


def digest(content: BinaryIO) -> tuple[str, int]:
    """SHA-256 and bytes of a file."""
    sha, size = hashlib.sha256(), 0
    for piece in _pieces(content):
        sha.update(piece)
        size += len(piece)
    return sha.hexdigest(), size


def keep(db: Database, file: UploadedFile, content: BinaryIO) -> None:
    """Into the database, a piece a transaction, as a file that is still arriving: nobody sees it, and where the process
    dies it is forgotten. Raises what the database raises; then nothing is kept."""
    db.write(lambda session: rows.insert(session, [file]))
    try:
        for number, piece in enumerate(_pieces(content)):
            db.write(partial(files.add_piece, file_id=file.id, number=number, packed=zlib.compress(piece)))
    except BaseException:
        db.write(partial(files.forget, file_id=file.id))
        raise


def expires_at(received: Received, now: datetime) -> datetime | None:
    """When it goes by itself."""
    return None if received.expires_after is None else now + received.expires_after


def _pieces(content: BinaryIO) -> Iterator[bytes]:
    content.seek(0)
    return iter(partial(content.read, files.PIECE_BYTES), b"")


def _name(given: str | None) -> str:
    name = (given or "").replace("\\", "/").rpartition("/")[2]
    if not name or len(name) > MOST_NAME or not name.isprintable() or not is_carried({"name": name}):
        raise Invalid(
            f"a file has a name of 1 to {MOST_NAME} printable characters", field="file", remedy="Name it chats.jsonl."
        )
    return name


def _expiry(anchor: object, given: object) -> timedelta | None:
    if anchor is None and given is None:
        return None
    if anchor != "created_at":
        raise Invalid(
            "a file expires after 'created_at'", field="expires_after.anchor", remedy="Send anchor='created_at'."
        )
    is_number = isinstance(given, str) and given.isdecimal() and len(given) < 10
    if not is_number or not LEAST_SECONDS <= int(str(given)) <= MOST_SECONDS:
        raise Invalid(
            f"a file expires after {LEAST_SECONDS} to {MOST_SECONDS} seconds",
            field="expires_after.seconds",
            remedy="Leave expires_after out to keep it until it is deleted.",
        )
    return timedelta(seconds=int(str(given)))


def _too_large(most: int) -> TooLarge:
    return TooLarge(
        f"a file has at most {most:,} bytes here",
        field="file",
        remedy="Push it to the Hub as a dataset, and give that one's id as training_file; or ask the operator "
        "(TUNEGATE_FILE_MIB).",
    )
