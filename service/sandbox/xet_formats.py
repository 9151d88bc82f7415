"""Reading what Xet clients upload: xorbs (runs of chunks) and shards (which chunks make up which file).

Formats as published at huggingface.co/docs/xet (`xorb`, `shard`); hf_xet 1.8 writes them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from service.sandbox.lz4 import read_frame

CHUNK_HEADER = 8
SHARD_HEADER = 48
RECORD = 48
END = b"\xff" * 32
WITH_VERIFICATION, WITH_METADATA = 1 << 31, 1 << 30


@dataclass(frozen=True)
class Segment:
    """A run of chunks of one xorb: indices from `first` up to but not with `end`."""

    xorb: str
    first: int
    end: int


def read_xorb(data: bytes) -> list[bytes]:
    """The chunks of a xorb; raises ValueError for a broken one.

    Each chunk has a header: version 0, compressed length (3 bytes, little-endian), scheme, plain length (3 bytes).
    What begins with another byte is the optional footer.
    """
    chunks, position = [], 0
    while position < len(data) and data[position] == 0:
        compressed = int.from_bytes(data[position + 1 : position + 4], "little")
        scheme = data[position + 4]
        plain = int.from_bytes(data[position + 5 : position + 8], "little")
        position += CHUNK_HEADER
        chunk = _unpacked(scheme, data[position : position + compressed])
        if len(chunk) != plain:
            raise ValueError("a chunk of the xorb has not the length it claims")
        chunks.append(chunk)
        position += compressed
    return chunks


def read_shard(data: bytes) -> Iterator[tuple[str, list[Segment]]]:
    """The hash and the segments of each file of a shard; raises ValueError for a broken one.

    After the header come per file: a record with its hash, flags and number of entries; that many segments; as many
    verification records and one of metadata where the flags say so. A record of ones ends the files.
    """
    position = SHARD_HEADER
    while (record := _record(data, position))[:32] != END:
        flags, entries = struct.unpack("<II", record[32:40])
        position += RECORD
        yield _hex(record[:32]), [_segment(_record(data, position + RECORD * number)) for number in range(entries)]
        position += RECORD * entries * (2 if flags & WITH_VERIFICATION else 1)
        position += RECORD if flags & WITH_METADATA else 0


def _record(data: bytes, position: int) -> bytes:
    record = data[position : position + RECORD]
    if len(record) != RECORD:
        raise ValueError("the shard is cut off")
    return record


def _segment(record: bytes) -> Segment:
    _, _, first, end = struct.unpack("<IIII", record[32:48])
    return Segment(_hex(record[:32]), first, end)


def _hex(digest: bytes) -> str:
    """A hash as Xet's addresses write it: four little-endian numbers of 8 bytes."""
    return "".join(f"{number:016x}" for number in struct.unpack("<4Q", digest))


def _unpacked(scheme: int, data: bytes) -> bytes:
    if scheme == 0:
        return data
    if scheme == 1:
        return read_frame(data)
    if scheme == 2:
        return _ungrouped(read_frame(data))
    raise ValueError(f"compression scheme {scheme} is unknown")


def _ungrouped(data: bytes) -> bytes:
    """The bytes in their order, from groups of every fourth byte that lie one after another."""
    plain, position = bytearray(len(data)), 0
    for lane in range(4):
        length = len(range(lane, len(data), 4))
        plain[lane::4] = data[position : position + length]
        position += length
    return bytes(plain)
