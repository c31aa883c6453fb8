"""What a file looks like by its first bytes, for the message about one that is not what it should be."""

SIGNATURES = {
    b"RIFF": "starts like a WAV sound or a WebP image",
    b"\x89PNG": "starts like a PNG image",
    b"\xff\xd8\xff": "starts like a JPEG image",
    b"GIF8": "starts like a GIF image",
    b"fLaC": "starts like a FLAC sound",
    b"OggS": "starts like an OGG sound",
    b"ID3": "starts like an MP3 sound",
    b"%PDF": "is a PDF document",
    b"PK\x03\x04": "is a ZIP archive",
    b"\x1aE\xdf\xa3": "is a WebM or Matroska video",
}


def looks_like(head: bytes) -> str:
    """The first 64 bytes of a file, in words."""
    for signature, words in SIGNATURES.items():
        if head.startswith(signature):
            return words
    if head.isascii() and all(byte >= 32 or byte in b"\t\r\n" for byte in head):
        return "holds text"
    return f"starts with the bytes {head[:8].hex(' ')}"
