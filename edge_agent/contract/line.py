"""A line of an export: the record, and a checksum, since a stick has no other."""

import re
import zlib

from edge_agent.errors import ContractError

_CHECKSUM = re.compile(rb',"crc32":"([0-9a-f]{8})"\}\s*\Z')


def line_of(record: bytes) -> bytes:
    """Write a record, a JSON object, as a line with the CRC-32 of it as its last key."""
    return b'%s,"crc32":"%08x"}\n' % (record[:-1], zlib.crc32(record))


def record_of(line: bytes) -> bytes:
    """Give the record back; a line without a checksum is one. Raises ContractError where it was changed since."""
    found = _CHECKSUM.search(line)
    if found is None:
        return line
    record = line[: found.start()] + b"}"
    if zlib.crc32(record) != int(found[1], 16):
        raise ContractError("is damaged: its checksum does not fit")
    return record
