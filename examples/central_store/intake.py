"""Tells what a message or a line of a file is: a record, or something to reject."""

import json

from edge_agent.contract.explain import printable
from edge_agent.contract.gap import decode_gap
from edge_agent.contract.image import decode_image, image_record
from edge_agent.contract.line import record_of
from edge_agent.contract.record import decode_read
from edge_agent.contract.topics import READS, Sender, sender
from edge_agent.errors import ContractError

from .database import Arrived, Record, Rejected, digest

_SAID = 400
"""Characters of a topic, and of what is wrong, that a person sees: a car may say 65,535 of them."""


def from_broker(topic: str, payload: bytes, prefix: str) -> Arrived | Rejected:
    """Read a message; a vehicle can speak for itself alone."""
    try:
        said = sender(prefix, topic)
        record = _decoded(said, payload)
    except ContractError as error:
        return _rejected(payload, topic, str(error))
    if (record.agency, record.vehicle) != (said.vehicle.agency, said.vehicle.vehicle):
        what = "read" if said.kind == READS else "gap record"
        return _rejected(payload, topic, f"{what} {record.id}: names another vehicle than its topic")
    return _arrived(record, payload, topic)


def from_line(line: bytes, source: str) -> Arrived | Rejected:
    """Read a line of an export: what it is stands in its schema, and whose it is in its names."""
    try:
        line = record_of(line)
    except ContractError as error:
        return _rejected(line, source, str(error))
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
            case "lpr.image/1":
                return _arrived(decode_image(line), line, source)
    except ContractError as error:
        return _rejected(line, source, str(error))
    return _rejected(line, source, "is damaged, or no record of a read, a gap or a picture")


def _decoded(said: Sender, payload: bytes) -> Record:
    if said.read is not None:
        return image_record(payload, agency=said.vehicle.agency, vehicle=said.vehicle.vehicle, read=said.read)
    return decode_read(payload) if said.kind == READS else decode_gap(payload)


def _rejected(payload: bytes, source: str, reason: str) -> Rejected:
    return Rejected(payload, printable(source)[:_SAID], printable(reason)[:_SAID])


def _arrived(record: Record, payload: bytes, source: str) -> Arrived:
    return Arrived(record, payload, source, digest(record))
