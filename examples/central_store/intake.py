"""Tells what a message or a line of a file is: a record, or something to reject."""

import json

from edge_agent.contract.gap import GapRecord, decode_gap
from edge_agent.contract.record import ReadRecord, decode_read
from edge_agent.contract.topics import READS, sender
from edge_agent.errors import ContractError

from .database import Arrived, Rejected, digest


def from_broker(topic: str, payload: bytes, prefix: str) -> Arrived | Rejected:
    """Read a message; a vehicle can speak for itself alone."""
    try:
        vehicle, kind, _ = sender(prefix, topic)
        record = decode_read(payload) if kind == READS else decode_gap(payload)
    except ContractError as error:
        return _rejected(payload, topic, str(error))
    if (record.agency, record.vehicle) != (vehicle.agency, vehicle.vehicle):
        what = "read" if kind == READS else "gap record"
        return _rejected(payload, topic, f"{what} {record.id}: names another vehicle than its topic")
    return _arrived(record, payload, topic)


def from_line(line: bytes, source: str) -> Arrived | Rejected:
    """Read a line of an export: what it is stands in its schema, and whose it is in its names."""
    try:
        schema = json.loads(line)["schema"]
    except (ValueError, RecursionError, TypeError, LookupError):
        schema = None
    try:
        match schema:
            case "lpr.read/1":
                return _arrived(decode_read(line), line, source)
            case "lpr.gap/1":
                return _arrived(decode_gap(line), line, source)
    except ContractError as error:
        return _rejected(line, source, str(error))
    return _rejected(line, source, "is damaged, or no record of a read or a gap")


def printable(text: str) -> str:
    """Replace what cannot be printed: a foreign name can hold anything, and NUL is no text in PostgreSQL."""
    return "".join(one if one.isprintable() else "?" for one in text)


def _rejected(payload: bytes, source: str, reason: str) -> Rejected:
    return Rejected(payload, printable(source), printable(reason))


def _arrived(record: ReadRecord | GapRecord, payload: bytes, source: str) -> Arrived:
    return Arrived(record, payload.decode(), source, digest(record))
