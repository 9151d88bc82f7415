"""Reading LZ4 frames (the public LZ4 frame and block formats), which Xet clients compress their chunks with."""

from __future__ import annotations

MAGIC = b"\x04\x22\x4d\x18"
STORED = 1 << 31
CONTENT_SIZE, BLOCK_CHECKSUM, DICTIONARY = 0x08, 0x10, 0x01


def read_frame(frame: bytes) -> bytes:
    """The content of one frame; raises ValueError for anything broken. Checksums are skipped, not checked."""
    if frame[:4] != MAGIC:
        raise ValueError("not an LZ4 frame")
    flags = frame[4]
    position = 7 + (8 if flags & CONTENT_SIZE else 0) + (4 if flags & DICTIONARY else 0)
    content = bytearray()
    while size := int.from_bytes(frame[position : position + 4], "little"):
        position += 4
        length = size & ~STORED
        block = frame[position : position + length]
        if len(block) != length:
            raise ValueError("an LZ4 block is cut off")
        if size & STORED:
            content += block
        else:
            _read_block(block, content)
        position += length + (4 if flags & BLOCK_CHECKSUM else 0)
    return bytes(content)


def _read_block(block: bytes, content: bytearray) -> None:
    """Append a block: each sequence is some bytes as they are, then a copy of bytes that were there before."""
    position = 0
    try:
        while position < len(block):
            token = block[position]
            length, position = _length(token >> 4, block, position + 1)
            content += block[position : position + length]
            position += length
            if position >= len(block):
                return  # the last sequence has nothing to copy
            distance = block[position] | block[position + 1] << 8
            length, position = _length(token & 15, block, position + 2)
            _copy_back(content, distance, length + 4)
    except IndexError as error:
        raise ValueError("an LZ4 block is cut off") from error


def _length(nibble: int, block: bytes, position: int) -> tuple[int, int]:
    """A length that goes on in further bytes where four bits are not enough, and the position after it."""
    length = nibble
    more = nibble == 15
    while more:
        length += block[position]
        more = block[position] == 255
        position += 1
    return length, position


def _copy_back(content: bytearray, distance: int, length: int) -> None:
    start = len(content) - distance
    if distance == 0 or start < 0:
        raise ValueError("an LZ4 block copies from before its beginning")
    if distance >= length:
        content += content[start : start + length]
    else:  # the copy reads what it has just written
        pattern = content[start:]
        content += (pattern * (length // distance + 1))[:length]
