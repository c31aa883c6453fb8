"""Checks the length that a sound's header declares against the file, and supplies it where it is missing.

WAV, AIFF: the length of the data against the size of the file. OGG: a last page that is marked as the last. MP3: the
frames are counted. FLAC whose length was not known when it was written: the number in its last frame.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from typing import BinaryIO, Literal, NamedTuple

from sightsound.data.mpeg import ROOM, count_frames, info_frame
from sightsound.data.opened import size_of

NEAR_LIMIT = 65536  # a pipe writes an unknown length as the largest number there is, less some headers
TAIL = 65536  # bytes; no page of an OGG is longer
FLAC_TAIL = 4_000_000  # bytes that hold at least the last frame of a FLAC
ID3V1 = 128  # bytes of a tag at the end
TRIED = 3  # places that look like a frame of FLAC; more than one only where samples look like one by coincidence


class Claim(NamedTuple):
    """The result of checking a header.

    Attributes:
        fault: why the file is incomplete; "" if it is complete, or if that cannot be known.
        head: bytes to read in place of the first `skip` bytes of the file; empty: the file is read unchanged.
        skip: the number of bytes that `head` replaces.
        exact: whether the length that the decoder then gives is exact to the sample.
    """

    fault: str = ""
    head: bytes = b""
    skip: int = 0
    exact: bool = True


class Spliced(io.RawIOBase):
    """A file whose first bytes are replaced by others; it closes the file."""

    def __init__(self, head: bytes, file: BinaryIO, skip: int) -> None:
        self.head, self.file, self.skip = head, file, skip
        self.size = size_of(file) - skip + len(head)
        self.position = 0

    def readable(self) -> bool:
        """Returns True."""
        return True

    def seekable(self) -> bool:
        """Returns True."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Moves the position as in any file."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self.position, os.SEEK_END: self.size}[whence]
        self.position = max(start + offset, 0)
        return self.position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # typeshed has any buffer
        """Fills the buffer as any file does."""
        wanted = len(buffer)
        found = self.head[self.position : self.position + wanted]
        if len(found) < wanted:
            self.file.seek(max(self.position - len(self.head), 0) + self.skip)
            found += self.file.read(wanted - len(found))
        buffer[: len(found)] = found
        self.position += len(found)
        return len(found)

    def close(self) -> None:
        """Closes this object and the file."""
        self.file.close()
        super().close()


def check_claim(file: BinaryIO, first: bytes) -> Claim:
    """Checks the header of a sound; a file of another kind is left to its decoder.

    Args:
        file: an open file at any position.
        first: its first 4 bytes.
    """
    start = 0
    if first[:3] == b"ID3":
        start = _after_tags(file)
        file.seek(start)
        first = file.read(4)
    if first in CHECKS:
        return CHECKS[first](file, start, size_of(file))
    mpeg = len(first) == 4 and first[0] == 0xFF and first[1] & 0xE0 == 0xE0 and first[1] & 0x06
    return _mp3(file, start) if mpeg or start else Claim()


def _after_tags(file: BinaryIO) -> int:
    """Returns the offset at which the sound begins, after ID3 tags."""
    start = 0
    while True:
        file.seek(start)
        tag = file.read(10)
        if len(tag) < 10 or tag[:3] != b"ID3":
            return start
        length = 0
        for byte in tag[6:]:
            length = length << 7 | byte & 0x7F
        start += 10 + length + (10 if tag[5] & 0x10 else 0)


def _cut_off(there: int, declared: int) -> str:
    return f"the sound is cut off: {there} of {declared} bytes are there" if there < declared else ""


def _unknown(declared: int) -> bool:
    """Returns whether a length of data was written by a pipe, which cannot seek back."""
    return declared == 0 or any(-NEAR_LIMIT <= declared - limit < NEAR_LIMIT for limit in (2**31, 2**32))


def _chunks(file: BinaryIO, start: int, size: int) -> Claim:
    """Checks RIFF, RIFX, RF64, FORM: chunks of a name, a length, and bytes. libsndfile accepts truncated files."""
    file.seek(start)
    order: Literal["big", "little"] = "big" if file.read(4) in (b"RIFX", b"FORM") else "little"
    position, long = start + 12, 0
    while position + 8 <= size:
        file.seek(position)
        name, length = file.read(4), int.from_bytes(file.read(4), order)
        if name == b"ds64":
            long = int.from_bytes(file.read(16)[8:], "little")
        if name in (b"data", b"SSND"):
            there = size - position - 8
            if not length and there:  # not closed by its writer; libsndfile would take it for empty
                file.seek(start)
                head = file.read(position + 4 - start) + min(there, 2**31).to_bytes(4, order)
                return Claim("", head, position + 8)
            declared = long if long and length == 0xFFFFFFFF else length
            return Claim("" if _unknown(length) and not long else _cut_off(there, declared))
        position += 8 + length + length % 2
    return Claim()


def _ogg(file: BinaryIO, start: int, size: int) -> Claim:
    """Checks that the last page is complete and marked as the last."""
    file.seek(max(size - TAIL, start))
    tail = file.read()
    page = tail.rfind(b"OggS")
    if page < 0:
        return Claim("the sound is cut off: its last page is not there")
    header = tail[page : page + 27]
    segments = tail[page + 27 : page + 27 + header[26]] if len(header) == 27 else b""
    whole = len(header) == 27 and len(segments) == header[26] and page + 27 + header[26] + sum(segments) <= len(tail)
    ended = whole and header[5] & 4
    return Claim("" if ended else "the sound is cut off: it ends without a last page")


def _mp3(file: BinaryIO, start: int) -> Claim:
    """Counts the frames, and supplies a length that the decoder would only estimate."""
    found = count_frames(file, start)
    if found is None:
        return Claim(exact=False)
    if found.declared and found.frames < found.declared - ROOM:
        return Claim(f"the sound is cut off: {found.frames} of {found.declared} frames are there")
    if found.declared and found.frames <= found.declared + ROOM:
        return Claim(exact=False)
    return Claim("", info_frame(found), found.first, exact=False)


def _flac(file: BinaryIO, start: int, size: int) -> Claim:
    """Supplies the number of samples from the last frame, where STREAMINFO lacks it."""
    file.seek(start)
    head = bytearray(file.read(42))
    if len(head) < 42 or head[4] & 0x7F:
        return Claim()
    packed = int.from_bytes(head[18:26], "big")
    if packed & (2**36 - 1):
        return Claim()
    file.seek(max(size - ID3V1, start))
    size -= ID3V1 if file.read(3) == b"TAG" else 0
    file.seek(max(size - FLAC_TAIL, start + 42))
    tail = file.read(size - file.tell())
    total = _last_sample(tail, int.from_bytes(head[8:10], "big"))
    if total is None:
        return Claim("the sound is cut off: its last frame is not whole")
    head[18:26] = (packed | min(total, 2**36 - 1)).to_bytes(8, "big")
    return Claim("", bytes(head), start + 42)


def _last_sample(tail: bytes, block: int) -> int | None:
    """Returns the number of samples from the last frame of a FLAC; None if that is incomplete."""
    place, tried = len(tail), 0
    while tried < TRIED and (place := tail.rfind(b"\xff", 0, place)) >= 0:
        found = _frame(tail[place : place + 16], block) if tail[place + 1 : place + 2] in (b"\xf8", b"\xf9") else None
        tried += bool(found)
        if found and _crc(tail[place:], 0x8005, 16) == 0:
            return found
    return None


def _frame(header: bytes, block: int) -> int | None:
    """Returns the number of the first sample after a FLAC frame; None where there is no frame header."""
    code, variable = header[2] >> 4 if len(header) == 16 else 0, header[1] & 1
    if not code or header[2] & 0x0F == 0x0F or header[3] & 1:
        return None
    ones = next((i for i in range(8) if not header[4] & 0x80 >> i), 8)  # UTF-8, up to 36 bits
    count = max(ones, 1)
    if ones in (1, 8):
        return None
    number = header[4] & (0x7F >> ones)
    for byte in header[5 : 4 + count]:
        number = number << 6 | byte & 0x3F
    extra = {6: 1, 7: 2}.get(code, 0)
    place = 4 + count
    written = int.from_bytes(header[place : place + extra], "big") + 1
    samples = written if extra else 192 if code == 1 else 576 << code - 2 if code < 6 else 256 << code - 8
    place += extra + {12: 1, 13: 2, 14: 2}.get(header[2] & 0x0F, 0)
    if _crc(header[: place + 1], 0x07, 8):
        return None
    return (number if variable else number * block) + samples


def _crc(data: bytes, polynomial: int, bits: int) -> int:
    """Computes a checksum, which is 0 for data that end with their own."""
    table = _table(polynomial, bits)
    value, mask = 0, 2**bits - 1
    for byte in data:
        value = table[(value >> (bits - 8)) ^ byte] ^ value << 8 & mask
    return value


def _table(polynomial: int, bits: int) -> list[int]:
    table = []
    for byte in range(256):
        value = byte << (bits - 8)
        for _ in range(8):
            value = (value << 1 ^ polynomial if value >> (bits - 1) else value << 1) & (2**bits - 1)
        table.append(value)
    return table


CHECKS: dict[bytes, Callable[[BinaryIO, int, int], Claim]] = {
    b"RIFF": _chunks,
    b"RIFX": _chunks,
    b"RF64": _chunks,
    b"FORM": _chunks,
    b"OggS": _ogg,
    b"fLaC": _flac,
}
