"""What a file is, from its bytes: for the one line that says why it cannot be played."""

import os
from codecs import getincrementaldecoder

_SIGNATURES = (
    (b"version https://git-lfs", "a Git LFS pointer; fetch the real file with `git lfs pull`"),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf", "a 7-Zip archive"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"\x89PNG", "a PNG picture"),
    (b"GIF8", "a GIF picture"),
    (b"II*\0", "a TIFF picture"),
    (b"MM\0*", "a TIFF picture"),
    (b"\x7fELF", "a program"),
)


def describe(path: str) -> str:
    """What the first bytes look like, as the end of the sentence "it looks like ..."."""
    with open(path, "rb") as file:
        head = file.read(512)
    for signature, kind in _SIGNATURES:
        if head.startswith(signature):
            return kind
    if not head.strip(b"\0"):
        return "nothing but zero bytes, perhaps an unfinished download"
    if head.lstrip().lower().startswith((b"<!doctype html", b"<html", b"<head")):
        return "a web page, perhaps an error page saved in place of the video"
    try:  # incremental: the last character may be cut
        text = getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return "unknown binary data"
    return "text" if all(c.isprintable() or c.isspace() for c in text) else "unknown binary data"


def missing_bytes(path: str) -> int | None:
    """How many bytes a cut-off file lacks by its own account, 0 if it is whole or cannot be judged.

    None: an MP4 or MOV without its index (`moov`), written only when a recording ends.
    Judged are MP4/MOV by its boxes (ISO/IEC 14496-12 §4.2), AVI by its RIFF size, Matroska by the size
    of its segment (RFC 8794 §4, §11.2). Transport streams and raw streams do not say how long they are.
    """
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        head = file.read(64)
        if head[:4] == b"RIFF":
            return max(0, 8 + int.from_bytes(head[4:8], "little") - size)
        if head[:4] == b"\x1a\x45\xdf\xa3":
            return max(0, _matroska_end(head) - size)
        if head[4:8] not in (b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip"):
            return 0
        position, index_seen = 0, False
        while position + 8 <= size:
            file.seek(position)
            box = file.read(16)
            length = int.from_bytes(box[:4], "big")
            if length == 1:  # 64-bit size follows the type
                length = int.from_bytes(box[8:16], "big")
            elif length == 0:  # to the end of the file
                length = size - position
            if length < 8:
                break
            position += length
            index_seen |= box[4:8] == b"moov" and position <= size
        return max(0, position - size) if index_seen else None


def _matroska_end(head: bytes) -> int:
    """The offset where the segment ends; 0 where its size is unknown (live recordings) or not found."""
    length, position = _vint(head, 4)
    position += length
    if head[position : position + 4] != b"\x18\x53\x80\x67":
        return 0
    length, position = _vint(head, position + 4)
    return position + length if length else 0


def _vint(data: bytes, position: int) -> tuple[int, int]:
    """A variable-size integer and the position behind it; all ones means unknown and gives 0."""
    if position >= len(data) or not data[position]:
        return 0, len(data)
    width = 9 - data[position].bit_length()
    value = int.from_bytes(data[position : position + width], "big") & ((1 << 7 * width) - 1)
    return (0 if value == (1 << 7 * width) - 1 else value), position + width
