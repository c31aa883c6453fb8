"""Reads a table's file as text: unpacks it, and finds the encoding from its mark, the text, or the files it names."""

from __future__ import annotations

import re
from pathlib import Path

from sightsound.errors import TableError

COMPRESSED = {".gz": "gzip", ".bz2": "bz2", ".xz": "xz", ".zip": "zip"}
MOST_BYTES = 2_000_000_000  # largest text of a table, since a compressed file does not show its unpacked size
# encodings of programs that do not write Unicode; a mostly ASCII text has too few other letters for a statistic
LEGACY = ("cp1252", "gb18030", "shift_jis", "euc_kr", "big5", "cp1251", "cp1250")
BYTE_ORDER_MARKS = {
    b"\xef\xbb\xbf": "utf-8-sig",
    b"\xff\xfe\x00\x00": "utf-32",
    b"\x00\x00\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
OVERRULE = "--columns.{} overrules it"


def zip_members(path: Path) -> list[str]:
    """Lists the files in a ZIP archive, less those that macOS adds."""
    import zipfile

    with zipfile.ZipFile(path) as archive:
        return [name for name in archive.namelist() if not name.endswith("/") and not name.startswith("__MACOSX")]


def content_of(path: Path) -> bytes:
    """Returns the bytes of a file, unpacked; of a ZIP those of the one file in it."""
    kind = COMPRESSED.get(path.suffix.lower())
    try:
        content = _unpacked(path, kind)
    except Exception as error:  # every decompressor has a kind of its own
        if kind is None or isinstance(error, OSError | ValueError):
            raise
        raise ValueError(f"it is damaged, or not compressed as its ending says ({error})") from error
    if len(content) > MOST_BYTES:
        raise ValueError(f"it has more than {MOST_BYTES / 1e9:.0f} GB of text; write it as Parquet")
    return content


def _unpacked(path: Path, kind: str | None) -> bytes:
    import fsspec

    if kind != "zip":
        with fsspec.open(str(path), "rb", compression=kind) as file:
            content: bytes = file.read(MOST_BYTES + 1)
        return content
    import zipfile

    files = zip_members(path)
    if len(files) != 1:
        raise ValueError(f"the archive has {len(files)} files, and a table is one; unpack it")
    with zipfile.ZipFile(path) as archive, archive.open(files[0]) as inside:
        return inside.read(MOST_BYTES + 1)


def decode_text(path: Path, encoding: str | None) -> tuple[str, list[str]]:
    """Decodes the text of a file; also returns sentences about its encoding."""
    content = content_of(path)
    mark = next((name for start, name in BYTE_ORDER_MARKS.items() if content.startswith(start)), None)
    if encoding:
        try:
            return content.decode(encoding).removeprefix("\ufeff"), []
        except LookupError as error:
            raise TableError(f"{path}: there is no encoding {encoding!r} (--columns.encoding).") from error
    try:
        text = content.decode(mark or "utf-8")
        return text, [f"read as {mark}"] if mark and mark != "utf-8-sig" else []
    except UnicodeDecodeError:
        found = _guessed_encoding(content, path.parent)
    text = content.decode(found)
    example = next(word for word in re.split(r"[,;\t|\s\"]+", text) if not word.isascii())
    return text, [f"read as {found}, which is a guess and gives {example!r}; {OVERRULE.format('encoding')}"]


def _guessed_encoding(content: bytes, root: Path) -> str:
    """Guesses the encoding of non-Unicode text: the one in which most of the files named exist, else by a statistic.

    Raises:
        ValueError: no encoding fits.
    """
    from charset_normalizer import from_bytes

    there: dict[str, int] = {}
    for name in LEGACY:
        try:
            text = content.decode(name)
        except UnicodeDecodeError:
            continue
        words = {word.strip() for word in re.split(r'[,;\t|\r\n"]+', text) if not word.isascii()}
        there[name] = sum(_is_file(root / word) for word in sorted(words)[:200])
    if any(there.values()):
        return max(there, key=lambda name: there[name])
    usual = [name for name in LEGACY if name != "cp1250"]  # often guessed for short texts, though rare
    best = from_bytes(content, cp_isolation=[*usual, "utf_16_le", "utf_16_be"]).best()
    if best is None or "\x00" in content[:1000].decode(best.encoding, "replace"):
        raise ValueError("it is text in no known encoding; name it with --columns.encoding NAME")
    return best.encoding


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a word that is not a valid path
        return False
