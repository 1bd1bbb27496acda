"""Finds picture files that are cut off or damaged before a decoder fills the gap with gray and says nothing.

JPEG: ITU-T T.81 annex B; PNG: ISO/IEC 15948; WebP: RFC 9649.
"""

import re
import zlib

CUT_OFF = "the picture is truncated: its end is missing"
DAMAGED = "the picture is damaged: a checksum does not fit"

# After a scan's coded data: 0xff and neither a stuffed zero, a restart mark nor filling.
_NEXT_MARK = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_END = 0xD9
_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"


def damage(content: bytes) -> str | None:
    """Say what is wrong with a JPEG, PNG or WebP file; None where nothing is, or for other formats."""
    if content.startswith(_JPEG):
        return None if _jpeg_is_whole(content) else CUT_OFF
    if content.startswith(_PNG):
        return _png_damage(content)
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return CUT_OFF if len(content) < int.from_bytes(content[4:8], "little") + 8 else None
    return None


def _jpeg_is_whole(content: bytes) -> bool:
    """Walk the segments to the end mark: a preview inside has one too, and a telephone may append a film."""
    at = 2
    while found := _NEXT_MARK.search(content, at):
        mark, at = content[found.start() + 1], found.end()
        if mark == _END:
            return True
        length = int.from_bytes(content[at : at + 2], "big")
        at += max(2, length)
    return False


def _png_damage(content: bytes) -> str | None:
    at = len(_PNG)
    while at + 12 <= len(content):
        length = int.from_bytes(content[at : at + 4], "big")
        body, mark = content[at + 4 : at + 8 + length], content[at + 8 + length : at + 12 + length]
        if len(mark) < 4:
            return CUT_OFF
        if zlib.crc32(body) != int.from_bytes(mark, "big"):
            return DAMAGED
        if body.startswith(b"IEND"):
            return None
        at += 12 + length
    return CUT_OFF
