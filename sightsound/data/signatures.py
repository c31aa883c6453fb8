"""Identifies a file by its first bytes: which decoder reads it, and how an error message describes it."""

SIGNATURES = {
    b"RIFF": "starts like a WAV sound or a WebP image",
    b"\x89PNG": "starts like a PNG image",
    b"\xff\xd8\xff": "starts like a JPEG image",
    b"GIF8": "starts like a GIF image",
    b"fLaC": "starts like a FLAC sound",
    b"OggS": "starts like an OGG sound",
    b"ID3": "starts like an MP3 sound",
    b"#!AMR": "starts like an AMR sound",
    b"%PDF": "is a PDF document",
    b"PK\x03\x04": "is a ZIP archive",
    b"\x1aE\xdf\xa3": "is a WebM or Matroska video",
}
HEAD = 64  # bytes that are enough to identify a file


def looks_like(head: bytes) -> str:
    """Describes a file by its first bytes."""
    for signature, words in SIGNATURES.items():
        if head.startswith(signature):
            return words
    if head[4:8] == b"ftyp":
        heic = head[8:12] in (b"heic", b"heix", b"mif1", b"msf1", b"avif")
        return "is a HEIC or AVIF image: save it as PNG or JPEG" if heic else "is an MP4 or M4A file"
    if head.isascii() and all(byte >= 32 or byte in b"\t\r\n" for byte in head):
        return "holds text"
    return f"starts with the bytes {head[:8].hex(' ')}"


def container(head: bytes) -> str:
    """Returns FFmpeg's name for a sound that only it reads (the extra `video`), "" for any other."""
    if head[4:8] == b"ftyp" or head[4:8] in (b"moov", b"mdat"):
        return "mov"
    if head.startswith(b"\x1aE\xdf\xa3"):
        return "matroska"
    if head.startswith(b"#!AMR"):
        return "amr"
    adts = len(head) > 1 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0  # MPEG audio would have a layer here
    return "aac" if adts else ""
