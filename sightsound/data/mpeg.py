"""Counts the frames of an MP3: a file, from its first byte of sound -> the number found, and the number declared.

A decoder estimates the length of a file without a Xing header from its first frame, which is wrong for most of them.
"""

from __future__ import annotations

from typing import BinaryIO, NamedTuple

KILOBITS = {
    True: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0),  # MPEG 1
    False: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0),  # MPEG 2 and 2.5
}
RATES = (44100, 48000, 32000, 0)
SEARCHED = 1_000_000  # bytes without a frame after which the search ends
LAYER_3 = 0x02
ROOM = 1  # tolerated difference, since writers may or may not count the frame of the header


class Counted(NamedTuple):
    """The frames of a file.

    Attributes:
        header: the 4 header bytes of the first frame.
        first: where the sound begins, after a frame that holds only a Xing header.
        frames: the number of complete frames.
        declared: the number declared in that header, 0 if there is none.
    """

    header: bytes
    first: int
    frames: int
    declared: int


def frame_bytes(header: bytes) -> int:
    """Returns the length of a layer 3 frame; 0 for an invalid header, or one that does not state its bit rate."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0 or header[1] & 0x06 != LAYER_3:
        return 0
    version = header[1] >> 3 & 3  # 3: MPEG 1, 2: MPEG 2, 0: MPEG 2.5
    kilobits, rate = KILOBITS[version == 3][header[2] >> 4], RATES[header[2] >> 2 & 3]
    if version == 1 or not kilobits or not rate:
        return 0
    rate >>= {3: 0, 2: 1, 0: 2}[version]
    return (144_000 if version == 3 else 72_000) * kilobits // rate + (header[2] >> 1 & 1)


def count_frames(file: BinaryIO, start: int) -> Counted | None:
    """Counts the frames from `start` on, skipping other data between them; None if there are none."""
    known: dict[bytes, int] = {}
    first, frames, position, header, declared = -1, 0, start, b"", 0
    file.seek(start)
    while True:
        head = file.read(4)
        length = known.get(head)
        if length is None:
            length = frame_bytes(head)
            if header and (head[1:2] != header[1:2] or head[2:3] and (head[2] ^ header[2]) & 0x0C):
                length = 0  # of another kind: not of this sound
            known[head] = length
        if not length:
            found = _next(file, position, header)
            if found < 0:
                break
            position = found
            continue
        body = file.read(length - 4)
        if len(body) < length - 4:
            break
        if not header:
            header, first = head, position
            declared = _declared(head, body)
            if declared:
                first, frames = position + length, -1
        frames += 1
        position += length
    return Counted(header, first, frames, max(declared, 0)) if header else None


def _next(file: BinaryIO, position: int, header: bytes) -> int:
    """Finds the next frame that is followed by another, after a place without a frame; -1: none."""
    file.seek(position)
    data = file.read(SEARCHED)
    place = 0
    while (place := data.find(b"\xff", place + 1)) >= 0:
        head = data[place : place + 4]
        length = frame_bytes(head)
        if length and (not header or (head[1] == header[1] and not (head[2] ^ header[2]) & 0x0C)):
            after = data[place + length : place + length + 4]
            if frame_bytes(after) and after[1] == head[1]:
                file.seek(position + place)
                return position + place
    return -1


def _declared(head: bytes, body: bytes) -> int:
    """Reads the number of frames from a Xing, LAME or Fraunhofer header; -1: it is not stated; 0: no header."""
    one, mono = head[1] >> 3 & 3 == 3, head[3] >> 6 == 3
    side = _side(one, mono)
    if body[side : side + 4] in (b"Xing", b"Info"):
        has = body[side + 7 : side + 8] and body[side + 7] & 1
        return int.from_bytes(body[side + 8 : side + 12], "big") or -1 if has else -1
    if body[32:36] == b"VBRI":
        return int.from_bytes(body[46:50], "big") or -1
    return 0


def _side(one: bool, mono: bool) -> int:
    """Returns the bytes of the side information."""
    return (17 if mono else 32) if one else (9 if mono else 17)


def info_frame(of: Counted) -> bytes:
    """Builds a first frame without sound that declares the number of frames."""
    head = bytearray(of.header)
    head[1] |= 1  # without a checksum
    side = _side(head[1] >> 3 & 3 == 3, head[3] >> 6 == 3)
    while frame_bytes(bytes(head)) < 4 + side + 12:  # a bit rate too low to have room for it
        head[2] += 0x10
    frame = bytes(head) + bytes(side) + b"Info" + (1).to_bytes(4, "big") + of.frames.to_bytes(4, "big")
    return frame.ljust(frame_bytes(bytes(head)), b"\0")
